#include "intelligence/peers.h"

#include <chrono>
#include <stdexcept>
#include <utility>

#include "http/http.h"
#include "intelligence/bridge_peers.h"
#include "intelligence/ollama_service.h"
#include "intelligence/openai_service.h"
#include "support/demo_files.h"
#include "support/server_process.h"

namespace escribano {
namespace {

std::unique_ptr<IntelligenceService> made(Result<std::unique_ptr<IntelligenceService>> service) {
  if (!service) throw std::runtime_error(service.error().message);
  return *std::move(service);
}

class ServerPeer final : public Peer {
 public:
  using Adapter = std::function<std::unique_ptr<IntelligenceService>(const std::string& url)>;

  ServerPeer(std::unique_ptr<ServerProcess> process, const Adapter& adapter)
      : process_(std::move(process)), service_(adapter(process_->url())) {}

  IntelligenceService& service() override { return *service_; }
  void kill() override { process_->kill(); }

 private:
  std::unique_ptr<ServerProcess> process_;
  std::unique_ptr<IntelligenceService> service_;
};

std::unique_ptr<ServerProcess> start_fixture() {
  return std::make_unique<ServerProcess>(
      std::vector<std::string>{"python3", ESCRIBANO_SOURCE_DIR "/tests/intelligence/fixtures/model_server.py"},
      "listening on ");
}

// A dead peer is to be noticed in the time of a test.
RetryPolicy quick_retries() {
  return {.retries = 2, .delay = [](int) { return std::chrono::milliseconds(1); }};
}

std::unique_ptr<Peer> start_ollama_fixture() {
  return std::make_unique<ServerPeer>(start_fixture(), [](const std::string& url) {
    return made(make_ollama_service({.server = {.url = url, .model = "good", .retry = quick_retries()}}));
  });
}

std::unique_ptr<Peer> start_openai_fixture() {
  return std::make_unique<ServerPeer>(start_fixture(), [](const std::string& url) {
    return made(make_openai_service({
        .server = {.url = url, .model = "uneven", .parallel = 4, .retry = quick_retries()},
        .api_key = "a key",
    }));
  });
}

#ifdef LLAMA_SERVER_EXECUTABLE
bool is_healthy(const std::string& url) {
  HttpSession session = HttpSession::open({}).value();
  if (!session.start(0, {.url = url + "/health"})) return false;
  const auto finished = session.next({}, std::chrono::steady_clock::now() + std::chrono::seconds(10));
  return finished && *finished && (*finished)->outcome.status == 200;
}

std::unique_ptr<Peer> start_llama_server() {
  auto process = std::make_unique<ServerProcess>(
      std::vector<std::string>{LLAMA_SERVER_EXECUTABLE, "--offline", "--host", "127.0.0.1", "--port", "0",  //
                               "--model", demo_model().model.native(),                                      //
                               "--mmproj", demo_model().projector.native(),                                 //
                               "--image-max-tokens", "256", "--ctx-size", "8192", "--parallel", "4",        //
                               "--threads", "1", "--jinja"},
      "listening on http://127.0.0.1:");
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!is_healthy(process->url())) {
    if (std::chrono::steady_clock::now() > end) throw std::runtime_error("not healthy:\n" + process->output());
  }
  return std::make_unique<ServerPeer>(std::move(process), [](const std::string& url) {
    return made(
        make_openai_service({.server = {.url = url, .model = "demo", .parallel = 4, .retry = quick_retries()}}));
  });
}
#endif

}  // namespace

std::vector<PeerKind> peers() {
  std::vector<PeerKind> kinds = {
      {.name = "OllamaFixture", .start = start_ollama_fixture},
      {.name = "OpenAiFixture", .start = start_openai_fixture},
#ifdef LLAMA_SERVER_EXECUTABLE
      {.name = "LlamaServer", .demo_model = true, .start = start_llama_server},
#endif
  };
  for (PeerKind& kind : bridge_peers()) kinds.push_back(std::move(kind));
  return kinds;
}

}  // namespace escribano
