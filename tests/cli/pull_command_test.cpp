// 'escribano models pull' as a process, against a hub of the test's own: killed again and again, resumed, imported, and put to
// work.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/subprocess.h"
#include "hub/hub_server.h"
#include "support/bridge_peer.h"
#include "support/mlx_folder.h"
#include "support/run_command.h"
#include "support/temp_folder.h"

namespace escribano {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;

const fs::path kDemo = fs::path(ESCRIBANO_SOURCE_DIR) / "assets" / "demo-model";
const fs::path kGolden = fs::path(ESCRIBANO_SOURCE_DIR) / "tests" / "golden";

// ESCRIBANO_TEST_KILLS sets another number.
int kills_wanted() {
  const char* text = std::getenv("ESCRIBANO_TEST_KILLS");
#ifdef __SANITIZE_ADDRESS__
  return text == nullptr ? 8 : std::atoi(text);
#else
  return text == nullptr ? 50 : std::atoi(text);
#endif
}

class PullCommand : public ::testing::Test {
 protected:
  std::map<std::string, std::string> environment() const {
    return {{"ESCRIBANO_HOME", (folder_.path() / "home").native()},
            {"HOME", folder_.path().native()},
            {"HF_HOME", (folder_.path() / "hf").native()},
            {"HF_HUB_CACHE", ""},
            {"HF_TOKEN", "hf_secret"},
            {"HF_TOKEN_PATH", ""},
            {"HF_HUB_OFFLINE", ""},
            {"HF_ENDPOINT", server.url()},
            {"CURL_CA_BUNDLE", ""},
            {"SSL_CERT_FILE", server.certificate().native()}};
  }
  CommandResult run(std::vector<std::string> arguments, std::map<std::string, std::string> other = {}) const {
    arguments.insert(arguments.begin(), escribano_program());
    CommandOptions options = {.environment = environment()};
    for (const auto& [name, value] : other) options.environment[name] = value;
    options.deadline = std::chrono::seconds(300);
    return run_command(arguments, options);
  }
  Subprocess start_pull() const {
    auto process = Subprocess::start(
        {.arguments = {escribano_program(), "models", "pull", "org/model"}, .environment = environment()});
    if (!process) throw std::runtime_error(process.error().message);
    return *std::move(process);
  }
  // Waits until the hub has sent so many bytes more, or the process has ended.
  void wait_for_bytes(Subprocess& process, std::uint64_t bytes) const {
    const std::uint64_t until = server.sent_bytes() + bytes;
    ASSERT_TRUE(eventually([&] { return server.sent_bytes() >= until || process.ended(); }, std::chrono::seconds(60)));
  }
  fs::path model() const { return folder_.path() / "home" / "models" / "org" / "model"; }

  TempFolder folder_;
  HubServer server;
};

struct Layout {
  std::string name;
  bool is_mlx = false;
  int bits = 0;
  double least_words = 1;   // share of the golden answers' words that have to be there
  double least_fields = 1;  // share of the frames whose apps and activity have to be right
};

class PullOf : public PullCommand, public ::testing::WithParamInterface<Layout> {
 protected:
  fs::path served() const {
    const Layout& layout = GetParam();
    if (!layout.is_mlx) return kDemo;
    write_mlx_folder(kDemo, folder_.path() / "served", {.bits = layout.bits});
    return folder_.path() / "served";
  }

  struct Score {
    std::size_t words = 0;
    std::size_t right_words = 0;
    std::size_t frames = 0;
    std::size_t right_fields = 0;
  };

  static std::vector<std::string> words_of(const std::string& text) {
    std::vector<std::string> words(1);
    for (const char c : text) {
      if (c == ' ')
        words.emplace_back();
      else
        words.back() += c;
    }
    return words;
  }

  // The model's answers to the pictures of the golden data, which `escribano describe` gives.
  Score score() const {
    const json golden = json::parse(read_text_file(kGolden / "golden.json", 16U << 20).value());
    std::vector<std::string> arguments = {"describe",  "--model", "org/model", "--in-process",
                                          "--threads", "1",       "--json"};
    std::vector<json> cases;
    for (const json& one : golden.at("cases")) {
      if (!one.at("name").get<std::string>().starts_with("single-")) continue;
      cases.push_back(one);
      arguments.push_back(kGolden / one.at("images").at(0).get<std::string>());
    }
    const CommandResult result = run(arguments);
    EXPECT_EQ(result.exit_code, 0) << result.err;
    Score total;
    std::size_t at = 0;
    for (std::size_t line = 0; line < result.out.size(); line = result.out.find('\n', line) + 1) {
      add(json::parse(result.out.substr(line, result.out.find('\n', line) - line)), cases.at(at++).at("answer"), total);
    }
    EXPECT_EQ(at, cases.size());
    return total;
  }

  static std::string list_of(const json& names) {
    std::string text;
    for (const json& name : names) text += (text.empty() ? "" : ", ") + name.get<std::string>();
    return "[" + text + "]";
  }

  static void add(const json& answer, const std::string& golden, Score& score) {
    const std::string activity = " | activity: " + answer.value("activity", "");
    const std::string apps = " | apps: " + list_of(answer.value("apps", json::array()));
    const std::string text = "description: " + answer.value("description", "") + activity + apps +
                             " | topics: " + list_of(answer.value("topics", json::array()));
    ++score.frames;
    if (golden.find(activity + apps + " |") != std::string::npos) ++score.right_fields;
    const std::vector<std::string> wanted = words_of(golden);
    const std::vector<std::string> got = words_of(text);
    score.words += wanted.size();
    for (std::size_t i = 0; i < std::min(wanted.size(), got.size()); ++i)
      score.right_words += wanted[i] == got[i] ? 1 : 0;
  }
};

TEST_P(PullOf, KilledAtRandomMomentsItEndsWithAModelThatGivesTheGoldenTexts) {
  const fs::path source = served();
  server.set_folder(source);
  std::uint64_t total = 0;
  for (const auto& entry : fs::directory_iterator(source)) total += entry.file_size();
  std::mt19937 random(20'261'123);
  const int kills = kills_wanted();
  int killed = 0;
  for (int i = 0; i < kills; ++i) {
    // On average a kill comes when its share of the rest has been sent, at a rate at which the rest would take two seconds:
    // so none comes too late, however long this process is kept waiting.
    const std::uint64_t rest = std::max(total - std::min(total, server.sent_bytes()), total / 100);
    server.set_bytes_per_second(rest / 2);
    std::uniform_int_distribution<std::uint64_t> bytes(1, 2 * rest * 4 / 5 / static_cast<std::uint64_t>(kills - i));
    Subprocess process = start_pull();
    wait_for_bytes(process, bytes(random));
    ASSERT_FALSE(process.ended()) << "after " << killed << " kills";
    ::kill(process.pid(), SIGKILL);
    ASSERT_TRUE(process.wait(std::chrono::seconds(20)));
    ++killed;
    ASSERT_FALSE(fs::exists(model())) << "taken for a model before it was one";
  }
  server.set_bytes_per_second(0);
  const CommandResult last = run({"models", "pull", "org/model"});
  ASSERT_EQ(last.exit_code, 0) << last.err;
  EXPECT_THAT(last.out, AllOf(HasSubstr("/cache/"), HasSubstr("mmproj")));
  for (const auto& entry : fs::directory_iterator(model())) {
    if (entry.path().filename() == ".escribano-pull.json") continue;
    EXPECT_TRUE(read_text_file(entry.path(), 1U << 28).value() ==
                read_text_file(source / entry.path().filename(), 1U << 28).value())
        << entry.path();
  }
  EXPECT_FALSE(fs::exists(model().parent_path() / ".model.part"));
  const double sent = static_cast<double>(server.sent_bytes()) / static_cast<double>(total);
  EXPECT_LT(sent, 2) << "what had arrived was asked for again";
  const Score result = score();
  const double words = static_cast<double>(result.right_words) / static_cast<double>(result.words);
  const double fields = static_cast<double>(result.right_fields) / static_cast<double>(result.frames);
  EXPECT_GE(words, GetParam().least_words);
  EXPECT_GE(fields, GetParam().least_fields);
  std::cout << killed << " kills; " << sent << " times its bytes were sent; words as in the golden texts: " << words
            << ", apps and activity: " << fields << '\n';
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, PullOf,
    ::testing::Values(Layout{.name = "HuggingFaceBf16"}, Layout{.name = "MlxBf16", .is_mlx = true},
                      Layout{.name = "Mlx8Bit", .is_mlx = true, .bits = 8, .least_words = 31.0 / 32},
                      Layout{.name = "Mlx4Bit", .is_mlx = true, .bits = 4, .least_words = 0, .least_fields = 0.95}),
    [](const auto& layout) { return layout.param.name; });

TEST_F(PullCommand, CtrlCEndsItInOrderAndTheSameCommandGoesOn) {
  server.set_folder(kDemo);
  server.set_bytes_per_second(10'000'000);
  {
    Subprocess process = start_pull();
    wait_for_bytes(process, 5'000'000);
    ::kill(process.pid(), SIGINT);
    ASSERT_TRUE(process.wait(std::chrono::seconds(20)));
    EXPECT_EQ(process.ended(), "exited with status 130");
    char text[1000] = {};
    ASSERT_GT(::read(process.err.get(), text, sizeof text - 1), 0);
    EXPECT_THAT(text, HasSubstr("the same command goes on from there"));
  }
  server.set_bytes_per_second(0);
  const std::uint64_t before = server.sent_bytes();
  const CommandResult rest = run({"models", "pull", "org/model", "--no-import"});
  EXPECT_EQ(rest.exit_code, 0) << rest.err;
  EXPECT_EQ(rest.out, model().native() + "\n");
  EXPECT_THAT(rest.err, HasSubstr("org/model is in " + model().native() + ": commit aaaaaaaaaaaa"));
  EXPECT_LT(server.sent_bytes() - before, 23'000'000U);
  EXPECT_THAT(run({"models", "pull", "org/model", "--no-import"}).err, HasSubstr("up to date"));
}

TEST_F(PullCommand, TwoPrecisionsOfAModelLieBesideEachOther) {
  const CommandResult imported = run({"models", "import", kDemo.native()});
  ASSERT_EQ(imported.exit_code, 0) << imported.err;
  const fs::path pair = fs::path(imported.out.substr(0, imported.out.find('\n'))).parent_path();
  const std::string language_model = read_text_file(pair / "model.gguf", 1U << 28).value();
  server.set_files({{"M-F16.gguf", language_model},
                    {"M-Q8_0.gguf", language_model},
                    {"mmproj-M-F16.gguf", read_text_file(pair / "mmproj.gguf", 1U << 28).value()}});
  const std::string projector = (model() / "mmproj-M-F16.gguf").native() + "\n";
  EXPECT_EQ(run({"models", "pull", "org/model:f16"}).out, (model() / "M-F16.gguf").native() + "\n" + projector);
  EXPECT_EQ(run({"models", "pull", "org/model:Q8_0"}).out, (model() / "M-Q8_0.gguf").native() + "\n" + projector);
  EXPECT_EQ(run({"models", "path", "org/model:F16"}).out, (model() / "M-F16.gguf").native() + "\n" + projector);
  EXPECT_THAT(run({"models", "path", "org/model"}).err, AllOf(HasSubstr("M-F16.gguf"), HasSubstr("M-Q8_0.gguf")));
}

TEST_F(PullCommand, EachFailureIsOneLine) {
  server.set_folder(kDemo);
  const auto error = [&](const std::string& name, std::map<std::string, std::string> other = {}) {
    const CommandResult result = run({"models", "pull", name}, std::move(other));
    EXPECT_THAT(result.exit_code, AnyOf(1, 2)) << result.err;
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
    return result.err;
  };
  EXPECT_THAT(error("model"), HasSubstr("ORG/NAME[@REVISION][:QUANT]"));
  EXPECT_THAT(error("org/other"), HasSubstr("404"));
  EXPECT_THAT(error("org/model@nowhere"), HasSubstr("org/model@nowhere"));
  EXPECT_THAT(error("org/model:Q8_0"), HasSubstr("no GGUF files"));
  EXPECT_THAT(error("org/model", {{"SSL_CERT_FILE", ""}}), HasSubstr("certificate"));
  EXPECT_THAT(error("org/model", {{"HF_HUB_OFFLINE", "1"}}), HasSubstr("HF_HUB_OFFLINE"));
  EXPECT_THAT(error("org/model", {{"HF_ENDPOINT", "file:///"}}), HasSubstr("HF_ENDPOINT"));
  EXPECT_FALSE(fs::exists(folder_.path() / "home"));
}

TEST_F(PullCommand, AModelThatIsNotHereIsOneToPull) {
  const CommandResult result = run({"models", "path", "org/model"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err, HasSubstr("'escribano models pull org/model' downloads it"));
}

TEST(PullCommandPlain, AProxyOfTheEnvironmentIsAsked) {
  const HubServer proxy(HubServer::Tls::off);
  const TempFolder folder;
  const CommandResult result = run_command({escribano_program(), "models", "pull", "org/model"},
                                           {.environment = {{"ESCRIBANO_HOME", folder.path() / "home"},
                                                            {"HF_HOME", folder.path()},
                                                            {"HF_ENDPOINT", "http://hub.invalid"},
                                                            {"http_proxy", proxy.url()},
                                                            {"no_proxy", ""},
                                                            {"NO_PROXY", ""},
                                                            {"HF_TOKEN", "hf_secret"}}});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.err,
              AllOf(HasSubstr("can be read and changed on the way; HF_TOKEN is not sent"), HasSubstr("404")));
  ASSERT_EQ(proxy.requests().size(), 1U);
  EXPECT_EQ(proxy.requests()[0].target, "http://hub.invalid/api/models/org/model/revision/main");
  EXPECT_EQ(proxy.requests()[0].authorization, "");
}

}  // namespace
}  // namespace escribano
