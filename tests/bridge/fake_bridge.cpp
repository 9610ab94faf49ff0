#include "bridge/fake_bridge.h"

#include <chrono>
#include <stdexcept>
#include <utility>

#include "base/file.h"
#include "image/encode.h"

namespace escribano::bridge {

FakeBridge::FakeBridge() {
  options.socket_path = socket();
  options.dispatcher.model_name = "fake";
  script->answer = [](const std::vector<int>& images, const std::string& text) {
    if (images.empty()) return "Answer to: " + text;
    const std::string number = std::to_string(images.front());
    return "description: Picture " + number + " | activity: reading | apps: [App" + number + "] | topics: [t]";
  };
}

FakeBridge::~FakeBridge() {
  release();
  stop();
}

Result<LoadedModel> FakeBridge::load(const std::string& name) {
  ++loads;
  if (load_error) return fail(*load_error);
  auto backend = std::make_unique<engine::FakeBackend>(script, slots, 4096);
  script->before_step = [this, raw = backend.get()](std::string_view step) -> Status {
    {
      const std::lock_guard lock(mutex_);
      if (step != hold_) return {};
      held_ = true;
      changed_.notify_all();
    }
    const auto released = [&] {
      const std::lock_guard lock(mutex_);
      return step != hold_;
    };
    const bool interrupted = raw->wait_for_interrupt(released);
    const std::lock_guard lock(mutex_);
    held_ = false;
    if (interrupted) return fail(Errc::cancelled, "cancelled");
    return {};
  };
  engine::EngineOptions engine_options;
  engine_options.pixel_rule = {.patch_size_px = 16, .merge_size = 2, .min_pixels = 1024, .max_pixels = 1024};
  engine_options.answer_cache_bytes = 0;  // tests and benchmarks look at frames on their way through the model
  engine_options.text_only = options.dispatcher.mode == protocol::Mode::llm;
  ESCRIBANO_TRY(auto engine, engine::Engine::start(std::move(backend), engine_options));
  return LoadedModel{name.empty() ? "fake" : name, std::move(engine)};
}

void FakeBridge::start(bool loaded) {
  std::optional<LoadedModel> model;
  if (loaded) {
    model = load("").value();
    loads = 0;
  }
  auto server = Server::start(
      options, [this](const std::string& name) { return load(name); }, std::move(model));
  if (!server) throw std::runtime_error(server.error().message);
  server_ = *std::move(server);
  loop_ = std::thread([this] { server_->run(); });
}

void FakeBridge::stop() {
  if (server_) server_->stop();
  if (loop_.joinable()) loop_.join();
  server_.reset();
}

std::string FakeBridge::picture(int number) {
  const std::filesystem::path path = folder_.path() / (std::to_string(number) + ".png");
  if (!std::filesystem::exists(path)) {
    const auto bytes = encode_png(engine::numbered_image(number));
    const std::string content(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (!write_file_atomically(path, content)) throw std::runtime_error("cannot write " + path.native());
  }
  return path.native();
}

nlohmann::json FakeBridge::describe(const nlohmann::json& id, const std::vector<int>& numbers,
                                    const nlohmann::json& parameters) {
  nlohmann::json request = {{"id", id}, {"method", "describe_images"}, {"params", parameters}};
  nlohmann::json& images = request["params"]["images"] = nlohmann::json::array();
  for (std::size_t i = 0; i < numbers.size(); ++i) {
    images.push_back({{"imagePath", picture(numbers[i])}, {"timestamp", 10 * i}});
  }
  return request;
}

nlohmann::json FakeBridge::status() const {
  BridgePeer peer = connect();
  return peer.answers({{"id", 1}, {"method", "status"}}).at(0).at("status");
}

void FakeBridge::hold(const std::string& step) {
  const std::lock_guard lock(mutex_);
  hold_ = step;
}

bool FakeBridge::is_held() {
  const std::lock_guard lock(mutex_);
  return held_;
}

void FakeBridge::release() {
  const std::lock_guard lock(mutex_);
  hold_.clear();
}

}  // namespace escribano::bridge
