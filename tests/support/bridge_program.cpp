#include "support/bridge_program.h"

#include <algorithm>
#include <csignal>
#include <stdexcept>

#include <unistd.h>

#include "support/run_command.h"

namespace escribano {

BridgeProgram::BridgeProgram() : program(escribano_program()) {
  // Models that other tests imported are used again; no variable of the developer's own has a say.
  environment = {{"ESCRIBANO_HOME", ESCRIBANO_BINARY_DIR "/test-home"},
                 {"ESCRIBANO_MLX_SOCKET_PATH", socket().native()},
                 {"ESCRIBANO_VLM_MODEL", ""},
                 {"ESCRIBANO_MLX_LOG_FILE", ""},
                 {"ESCRIBANO_VERBOSE", "false"},
                 // The same few pictures are to go through the model again and again, whatever ran before.
                 {"ESCRIBANO_REUSE", "embeddings"},
                 {"ESCRIBANO_EMBEDDING_CACHE_MB", "0"},
                 // Standard files of sanitizers and thread pools are the test's own business.
                 {"GOMP_SPINCOUNT", "1000"}};
}

void BridgeProgram::start() {
  SubprocessOptions options;
  options.arguments = {program};
  if (as_command) options.arguments.emplace_back("bridge");
  options.arguments.insert(options.arguments.end(), arguments.begin(), arguments.end());
  options.environment = environment;
  out_.clear();
  err_.clear();
  auto process = Subprocess::start(options);
  if (!process) throw std::runtime_error(process.error().message);
  process_ = std::make_unique<Subprocess>(*std::move(process));
}

std::string BridgeProgram::announcement() {
  const bool came = eventually([&] {
    read_available();
    return out_.find('\n') != std::string::npos || process_->ended();
  });
  read_available();
  const std::size_t end = out_.find('\n');
  if (!came || end == std::string::npos) throw std::runtime_error("no announcement: " + err_);
  return out_.substr(0, end);
}

void BridgeProgram::serve() {
  start();
  const std::string line = announcement();
  if (nlohmann::json::parse(line).at("status") != "ready") throw std::runtime_error(line);
}

std::vector<std::string> BridgeProgram::files() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder())) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

nlohmann::json BridgeProgram::status() const {
  BridgePeer peer = connect();
  return peer.answers({{"id", 1}, {"method", "status"}}).at(0).at("status");
}

nlohmann::json BridgeProgram::describe(const nlohmann::json& id, std::size_t count, const nlohmann::json& parameters) {
  std::vector<std::string> frames;
  for (const auto& entry : std::filesystem::directory_iterator(ESCRIBANO_SOURCE_DIR "/assets/samples/frames")) {
    frames.push_back(entry.path().native());
  }
  std::sort(frames.begin(), frames.end());
  nlohmann::json request = {{"id", id}, {"method", "describe_images"}, {"params", parameters}};
  if (parameters.is_null()) request["params"] = nlohmann::json::object();
  nlohmann::json& images = request["params"]["images"] = nlohmann::json::array();
  for (std::size_t i = 0; i < count; ++i) {
    images.push_back({{"imagePath", frames[i % frames.size()]}, {"timestamp", 10 * i}});
  }
  return request;
}

void BridgeProgram::signal(int number) { ::kill(process_->pid(), number); }

std::string BridgeProgram::ended(std::chrono::milliseconds deadline) {
  std::optional<std::string> how;
  eventually(
      [&] {
        read_available();
        how = process_->ended();
        return how.has_value();
      },
      deadline);
  if (!how) throw std::runtime_error("the bridge does not end: " + err_);
  read_available();
  return *how;
}

std::string BridgeProgram::out() {
  read_available();
  return out_;
}

std::string BridgeProgram::err() {
  read_available();
  return err_;
}

void BridgeProgram::read_available() {
  const auto read_from = [](const FileDescriptor& fd, std::string& text) {
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(fd.get(), buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<std::size_t>(got));
    }
  };
  read_from(process_->out, out_);
  read_from(process_->err, err_);
}

}  // namespace escribano
