#include "support/real_bridge.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "support/run_command.h"

namespace escribano {
namespace {

constexpr std::chrono::seconds kPatience{100};

const std::map<std::string, std::string>& environment() {
  // Models that other tests imported are used again; no variable of the developer's own has a say.
  static const std::map<std::string, std::string> variables = {{"ESCRIBANO_HOME", ESCRIBANO_BINARY_DIR "/test-home"},
                                                               {"ESCRIBANO_MLX_LOG_FILE", ""},
                                                               {"ESCRIBANO_VERBOSE", "false"},
                                                               {"ESCRIBANO_EMBEDDING_CACHE_MB", "0"},
                                                               {"GOMP_SPINCOUNT", "1000"}};
  return variables;
}

}  // namespace

std::vector<Frame> recording_frames(std::size_t count) {
  std::vector<Frame> frames;
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = (i < 10 ? "0" : "") + std::to_string(i) + ".png";
    frames.push_back({std::filesystem::path(ESCRIBANO_BINARY_DIR "/tests/sample-frames") / name,
                      5.5 * static_cast<double>(i + 1) - 0.2});
    if (!std::filesystem::exists(frames.back().path)) throw std::runtime_error("no frame " + std::to_string(i));
  }
  return frames;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
#ifdef __linux__
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    const std::string name = entry.path().filename();
    if (!std::all_of(name.begin(), name.end(), [](char c) { return c >= '0' && c <= '9'; })) continue;
    std::ifstream file(entry.path() / "stat");
    std::string text;
    std::getline(file, text);
    // "PID (NAME) STATE PARENT ...", where the name may have anything in it.
    const std::size_t name_end = text.rfind(") ");
    if (name_end != std::string::npos && std::stol(text.substr(name_end + 4)) == parent) {
      children.push_back(static_cast<pid_t>(std::stol(name)));
    }
  }
#else
  const CommandResult found = run_command({"/usr/bin/pgrep", "-P", std::to_string(parent)});
  std::istringstream lines(found.out);
  for (pid_t pid = 0; lines >> pid;) children.push_back(pid);
#endif
  return children;
}

void RealBridgeTest::TearDown() {
  resources_.expect_unchanged();
  for (const std::string& name : files()) EXPECT_TRUE(may_stay.contains(name)) << name << " is left";
}

BridgeClientOptions RealBridgeTest::options(Pictures pictures) const {
  BridgeClientOptions options;
  options.socket_path = socket();
  options.command = {escribano_program(), "bridge", "--mode",          "vlm",        "--model", "demo",
                     "--threads",         "1",      "--no-self-check", "--until-eof"};
  if (pictures == Pictures::small) options.command.insert(options.command.end(), {"--max-image-tokens", "64"});
  options.environment = environment();
  options.startup_timeout = kPatience;
  options.restart_delay = [](int) { return std::chrono::milliseconds(0); };
  return options;
}

SubprocessOptions RealBridgeTest::describe_command(const std::vector<Frame>& frames) const {
  SubprocessOptions command;
  command.arguments = {escribano_program(),
                       "describe",
                       "--json",
                       "--socket",
                       socket().native(),
                       "--model",
                       "demo",
                       "--threads",
                       "1",
                       "--max-image-tokens",
                       "64",
                       "--batch-size",
                       "2"};
  for (const Frame& frame : frames) command.arguments.push_back(frame.path.native());
  command.environment = environment();
  return command;
}

DescribeOptions RealBridgeTest::patient(int batch_size) {
  DescribeOptions options;
  options.batch_size = batch_size;
  options.max_tokens = 500 * batch_size;
  options.deadline = kPatience;
  return options;
}

std::vector<std::string> RealBridgeTest::files() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<nlohmann::json> RealBridgeTest::status_at(const std::filesystem::path& at) {
  try {
    BridgePeer peer(at);
    return peer.answers({{"id", 1}, {"method", "status"}}).at(0).at("status");
  } catch (const std::runtime_error&) {
    return std::nullopt;
  }
}

}  // namespace escribano
