// The examples of docs/protocol.md, sent to real bridges: what they answer is what the page shows.
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/bridge_program.h"
#include "support/real_bridge.h"

namespace escribano {
namespace {

using Json = nlohmann::ordered_json;
using ::testing::HasSubstr;

struct Line {
  int number = 0;  // in the page
  bool request = false;
  std::string text;
};
struct Block {
  std::string kind;  // what follows ndjson in the line that opens it
  std::vector<Line> lines;
};

std::vector<Block> blocks_of_the_page() {
  std::ifstream file(ESCRIBANO_SOURCE_DIR "/docs/protocol.md");
  std::vector<Block> blocks;
  bool inside = false;
  int number = 0;
  for (std::string line; std::getline(file, line);) {
    ++number;
    if (line.starts_with("```")) {
      inside = !inside && line.starts_with("```ndjson");
      if (inside) blocks.push_back({line.size() > 10 ? line.substr(10) : "", {}});
    } else if (inside) {
      blocks.back().lines.push_back({number, line.starts_with("> "), line.substr(2)});
    }
  }
  return blocks;
}

void replace_all(std::string& text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
}

// The id of a line as it was written; every line of the examples that has one begins with it.
std::string id_of(const std::string& line) {
  const std::string start = "{\"id\":";
  if (!line.starts_with(start)) return {};
  return line.substr(start.size(), line.find(",\"", start.size()) - start.size());
}

// What the answers to an example must agree in to the letter; anything else depends on the model, the machine or the time.
bool is_fixed(const std::string& key) {
  static const std::set<std::string> kFixed = {"batch",
                                               "partial",
                                               "current",
                                               "total",
                                               "progress",
                                               "done",
                                               "error",
                                               "code",
                                               "index",
                                               "pong",
                                               "timestamp",
                                               "imagePath",
                                               "message",
                                               "schema",
                                               "mode",
                                               "status",
                                               "requested_output_tokens"};
  return kFixed.contains(key);
}

// `done` of the frames in a status is a number, and no promise.
bool counts(const std::string& key, const Json& value) { return key == "done" && value.is_number(); }

// Whether an answer is like that of the page: the same keys in the same order, values of the same kind, and the same values
// where they are fixed.
::testing::AssertionResult is_like(const Json& answer, const Json& example, const std::string& where, bool fixed) {
  if (answer.is_number() && example.is_number() && !fixed) {
    if (answer.is_number_float() == example.is_number_float()) return ::testing::AssertionSuccess();
  }
  if (answer.type() != example.type() && !(fixed && answer == example)) {
    return ::testing::AssertionFailure() << where << " is " << answer << ", not like " << example;
  }
  if (answer.is_object()) {
    std::vector<std::string> keys;
    std::vector<std::string> example_keys;
    for (const auto& [key, value] : answer.items()) keys.push_back(key);
    for (const auto& [key, value] : example.items()) example_keys.push_back(key);
    if (keys != example_keys) {
      return ::testing::AssertionFailure() << where << " is " << answer << ", which has not the keys of " << example;
    }
    for (const std::string& key : keys) {
      auto alike = is_like(answer[key], example[key], where + "." + key, is_fixed(key) && !counts(key, answer[key]));
      if (!alike) return alike;
    }
    return ::testing::AssertionSuccess();
  }
  if (answer.is_array()) {
    // Words of a model are as many as it likes.
    const bool words = !example.empty() && example[0].is_string();
    if (!words && answer.size() != example.size()) {
      return ::testing::AssertionFailure() << where << " is " << answer << ", not as long as " << example;
    }
    for (std::size_t i = 0; i < answer.size(); ++i) {
      auto alike = is_like(answer[i], words ? example[0] : example[i], where + "[" + std::to_string(i) + "]", false);
      if (!alike) return alike;
    }
    return ::testing::AssertionSuccess();
  }
  if (fixed && answer != example) {
    return ::testing::AssertionFailure() << where << " is " << answer << " and not " << example;
  }
  return ::testing::AssertionSuccess();
}

// Two bridges, one for each mode, and the pictures of the examples.
class ProtocolPagePlayed : public RealBridgeTest {
 protected:
  ProtocolPagePlayed() {
    may_stay = {"frames"};
    std::filesystem::create_directory(frames_folder());
    const std::vector<Frame> frames = recording_frames(8);
    // The second picture of the page's example is missing.
    std::filesystem::copy(frames[3].path, frames_folder() / "0001.png");
    std::filesystem::copy(frames[7].path, frames_folder() / "0003.png");
    for (const char* mode : {"vlm", "llm"}) {
      BridgeProgram& bridge = bridges[mode];
      bridge.arguments.insert(bridge.arguments.end(), {"--mode", mode});
      bridge.serve();
    }
  }
  void TearDown() override {
    bridges.clear();
    RealBridgeTest::TearDown();
  }

  std::filesystem::path frames_folder() const { return folder() / "frames"; }
  std::string socket_of(const std::string& mode) { return (bridges[mode].folder() / ("b-" + mode + ".sock")).native(); }
  static std::string mode_for(const std::string& line) {
    for (const char* method : {"load_llm", "unload_llm", "llm_infer", "llm_prompt_fit"}) {
      if (line.find("\"method\":\"" + std::string(method) + "\"") != std::string::npos) return "llm";
    }
    return "vlm";
  }
  // What the page says of its own machine, said of this one, and back.
  std::string here(std::string text) const {
    replace_all(text, "/frames/", frames_folder().native() + "/");
    replace_all(text, "mlx-community/Qwen3-4B-Instruct", "demo");
    return text;
  }
  std::string there(std::string text) {
    replace_all(text, frames_folder().native() + "/", "/frames/");
    for (const char* mode : {"vlm", "llm"}) {
      replace_all(text, socket_of(mode), "/tmp/escribano-mlx-" + std::string(mode) + ".sock");
    }
    return text;
  }
  void play(const Block& block);
  void play_bad(const Block& block);

  std::map<std::string, BridgeProgram> bridges;
};

// Sends requests that stand behind each other at once, and then reads all their answers.
void ProtocolPagePlayed::play(const Block& block) {
  BridgePeer vlm(socket_of("vlm"));
  BridgePeer llm(socket_of("llm"));
  for (std::size_t at = 0; at < block.lines.size();) {
    std::map<std::string, std::vector<Line>> shown;  // by id
    std::map<std::string, std::string> sent;         // by mode
    std::map<std::string, int> unanswered;
    for (; at < block.lines.size() && block.lines[at].request; ++at) {
      const std::string mode = mode_for(block.lines[at].text);
      sent[mode] += here(block.lines[at].text) + "\n";
      ++unanswered[mode];
      shown[id_of(block.lines[at].text)];
    }
    for (; at < block.lines.size() && !block.lines[at].request; ++at) {
      shown[id_of(block.lines[at].text)].push_back(block.lines[at]);
    }
    for (const auto& [mode, lines] : sent) {
      BridgePeer& peer = mode == "llm" ? llm : vlm;
      ASSERT_TRUE(peer.send_bytes(lines));
      std::map<std::string, std::size_t> seen;
      while (unanswered[mode] > 0) {
        const std::string line = there(peer.line());
        const Json answer = Json::parse(line);
        if (answer.value("done", false)) --unanswered[mode];
        ASSERT_TRUE(shown.contains(id_of(line))) << line;
        const std::vector<Line>& examples = shown[id_of(line)];
        if (examples.empty()) continue;  // the page leaves the answer out
        const std::size_t number = seen[id_of(line)]++;
        ASSERT_LT(number, examples.size()) << line;
        Json example = Json::parse(examples[number].text);
        // No model writes what cannot be parsed on demand; adr006_test.cpp has one that does.
        if (example.contains("results")) {
          for (Json& result : example["results"]) {
            if (!result.contains("raw_response")) continue;
            result.erase("raw_response");
            result["apps"] = result["topics"] = {"word"};
          }
        }
        EXPECT_TRUE(is_like(answer, example, "line " + std::to_string(examples[number].number) + ": answer", false));
      }
      for (const auto& [id, count] : seen) EXPECT_EQ(count, shown[id].size()) << id;
    }
  }
}

void ProtocolPagePlayed::play_bad(const Block& block) {
  BridgePeer peer(socket_of("vlm"));
  for (std::size_t i = 0; i + 1 < block.lines.size(); i += 2) {
    ASSERT_TRUE(peer.send_bytes(block.lines[i].text + "\n"));
    EXPECT_EQ(peer.line(), block.lines[i + 1].text) << "line " << block.lines[i].number;
  }
}

TEST_F(ProtocolPagePlayed, EveryExampleIsAnsweredAsThePageShows) {
  const BridgePeer another(socket_of("vlm"));  // for whom a bridge stays that is told to end if unused
  int played = 0;
  for (const Block& block : blocks_of_the_page()) {
    if (block.kind.empty()) play(block);
    if (block.kind == "bad") play_bad(block);
    if (block.kind.empty() || block.kind == "bad") ++played;
    if (HasFatalFailure()) return;
  }
  EXPECT_GE(played, 10);
  // The last one was its end.
  EXPECT_THAT(bridges["vlm"].ended(), HasSubstr("status 0"));
}

TEST_F(ProtocolPagePlayed, BridgesAnnounceThemselvesAsThePageShows) {
  std::vector<Json> examples;
  for (const Block& block : blocks_of_the_page()) {
    if (block.kind != "stdout") continue;
    for (const Line& line : block.lines) examples.push_back(Json::parse(line.text));
  }
  ASSERT_EQ(examples.size(), 2u);
  const Json ready = Json::parse(there(bridges["vlm"].announcement()));
  EXPECT_TRUE(is_like(ready, examples[0], "ready", false));
  EXPECT_EQ(ready["socket"], examples[0]["socket"]);
  EXPECT_EQ(ready["model"], examples[0]["model"]);

  BridgeProgram second;
  second.environment["ESCRIBANO_MLX_SOCKET_PATH"] = bridges["vlm"].socket();
  second.arguments.insert(second.arguments.end(), {"--mode", "vlm"});
  second.start();
  EXPECT_EQ(Json::parse(there(second.announcement())), examples[1]);
  EXPECT_THAT(second.ended(), HasSubstr("status 1"));
}

}  // namespace
}  // namespace escribano
