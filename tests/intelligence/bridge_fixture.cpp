#include "intelligence/bridge_fixture.h"

#include <fstream>
#include <set>

#include "base/file.h"
#include "models/sha256.h"

namespace escribano {

std::string fixture_script(int generation) {
  return ESCRIBANO_SOURCE_DIR "/tests/intelligence/fixtures/generation" + std::to_string(generation) + "_bridge.py";
}

void BridgeTest::TearDown() {
  resources_.expect_unchanged();
  const std::set<std::string> expected = {"starts", "requests", "pictures"};
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path()))
    EXPECT_TRUE(expected.contains(entry.path().filename())) << entry.path() << " is left";
}

BridgeClientOptions BridgeTest::options(int generation, const std::string& faults) {
  BridgeClientOptions options;
  options.socket_path = socket();
  options.command = {"python3", fixture_script(generation)};
  if (generation == 2) options.command.insert(options.command.end(), {"--mode", "vlm"});
  options.foreign = true;
  options.environment = {{"FIXTURE_STARTS", folder_.path() / "starts"},
                         {"FIXTURE_REQUESTS", folder_.path() / "requests"},
                         {"FIXTURE_FAULTS", faults}};
  options.startup_timeout = kPatience;
  return options;
}

DescribeOptions BridgeTest::patient() {
  DescribeOptions options;
  options.deadline = kPatience;
  return options;
}

std::vector<Frame> BridgeTest::frames(int count) {
  const auto folder = folder_.path() / "pictures";
  std::filesystem::create_directory(folder);
  std::vector<Frame> frames;
  for (int i = 0; i < count; ++i) {
    const std::string number = std::to_string(pictures_++);
    std::ofstream(folder / (number + ".png")) << "\x89PNG of number " << number;
    frames.push_back({folder / (number + ".png"), i * 5.5});
  }
  return frames;
}

std::string BridgeTest::expected_text(const Frame& frame, int generation) {
  const auto content = read_text_file(frame.path, 1 << 20);
  if (!content) return content.error().message;
  models::Sha256 hash;
  hash.update(*content);
  const std::string digest = hash.hex_digest().substr(0, 12);
  return generation == 1 ? "A screen of " + digest + "." : "Ein Bild – 画面 " + digest + " 🖥.";
}

void BridgeTest::expect_described(const std::vector<FrameResult>& results, const std::vector<Frame>& frames,
                                  int generation) {
  ASSERT_EQ(results.size(), frames.size());
  for (std::size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(results[i].index, i);
    EXPECT_EQ(results[i].image_path, frames[i].path.native());
    EXPECT_EQ(results[i].timestamp_s, frames[i].timestamp_s);
    EXPECT_EQ(results[i].description, expected_text(frames[i], generation)) << i;
    EXPECT_EQ(results[i].activity, "coding");
    EXPECT_EQ(results[i].status(), FrameStatus::described);
  }
}

std::vector<std::string> BridgeTest::lines_of(const char* name) const {
  std::ifstream file(folder_.path() / name);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

pid_t BridgeTest::last_started() const { return static_cast<pid_t>(std::stol(lines_of("starts").back())); }

}  // namespace escribano
