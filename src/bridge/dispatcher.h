#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "bridge/frames.h"
#include "bridge/model_host.h"
#include "engine/engine.h"
#include "protocol/answer.h"
#include "protocol/request.h"

namespace escribano::bridge {

using ClientId = std::uint64_t;
using TimePoint = std::chrono::steady_clock::time_point;

struct DispatcherOptions {
  protocol::Mode mode = protocol::Mode::vlm;
  std::string model_name;  // of the bridge's own model, for status lines while none is loaded
  RequestDefaults defaults;
  int max_queued_frames = 20'000;             // not answered yet, of all clients; more are refused with overloaded
  std::size_t max_queued_bytes = 256U << 20;  // of the lines of requests not answered yet; likewise
  int client_requests_at_once = 8;            // of one client in the engine; its others wait their turn
  std::chrono::milliseconds idle_unload{0};   // without work for that long, the model is unloaded; 0: never
  std::function<TimePoint()> now = [] { return std::chrono::steady_clock::now(); };
};

// From requests to answers: keeps the model loaded while there is work for it, gives requests to the engine and turns
// what comes back into answers. Knows no sockets. Every function runs on the thread of the loop and none blocks; what the
// engine and the model host report is queued until process_events().
class Dispatcher {
 public:
  // Called on the loop's thread, from within the functions below.
  using Send = std::function<void(ClientId, const protocol::Answer&)>;

  // `wake` may be called on any thread and makes the loop call process_events() soon.
  Dispatcher(DispatcherOptions options, ModelLoader loader, Send send, std::function<void()> wake);
  // Cancels what runs; nothing is sent any more. Waits for the engine to end, and for a load in progress.
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  // Takes over the bridge's own model, loaded beforehand.
  void adopt(LoadedModel model);

  // Every request is answered, sooner or later, unless its client goes first. `line_bytes` is what it took on the wire.
  void handle(ClientId client, protocol::Request request, std::size_t line_bytes);
  // Cancels everything the client asked for; nothing is sent to it any more.
  void client_gone(ClientId client);
  bool has_work(ClientId client) const { return queues_.contains(client); }

  void process_events();
  // Deadlines and idle time.
  void run_timers();
  std::optional<TimePoint> next_timer() const;

  // Ends every request with an error; new ones too.
  void stop();
  bool has_work() const noexcept { return !works_.empty(); }
  bool is_loading() const noexcept { return state_ == State::loading; }

  // Of the model and its work; the caller knows about clients and the process.
  protocol::BridgeStatus status() const;

 private:
  using WorkId = std::uint64_t;
  // One request that wants the model.
  struct Work {
    ClientId client = 0;
    protocol::RequestId id;
    std::variant<protocol::DescribeImages, protocol::Infer, protocol::PromptFit> what;
    std::size_t frames = 1;
    std::size_t line_bytes = 0;
    std::optional<TimePoint> deadline;
    bool started = false;                   // given to the engine or the host
    std::optional<engine::JobId> job;       // of the engine
    std::optional<BatchCollector> batches;  // describe_images
  };
  struct ClientQueue {
    std::deque<WorkId> waiting;
    std::size_t unfinished = 0;
    int started = 0;
  };
  struct Waiter {
    ClientId client = 0;
    protocol::RequestId id;
    std::string model;
  };
  enum class State { unloaded, loading, loaded, unloading };

  // What other threads report.
  struct FrameEvent {
    WorkId work;
    engine::FrameResult result;
  };
  struct DescribedEvent {
    WorkId work;
    Status status;
  };
  struct TextEvent {
    WorkId work;
    Result<engine::GenerateResult> result;
  };
  struct FitEvent {
    WorkId work;
    Result<int> prompt_tokens;
  };
  struct LoadedEvent {
    std::shared_ptr<Result<LoadedModel>> model;
  };
  struct UnloadedEvent {};
  using Event = std::variant<FrameEvent, DescribedEvent, TextEvent, FitEvent, LoadedEvent, UnloadedEvent>;
  // Outlives the dispatcher in the hands of threads that are about to report.
  struct Inbox {
    std::mutex mutex;
    std::vector<Event> events;  // guarded by mutex
    std::function<void()> wake;
    void post(Event event);
  };

  void on(const FrameEvent& event);
  void on(const DescribedEvent& event);
  void on(const TextEvent& event);
  void on(const FitEvent& event);
  void on(const LoadedEvent& event);
  void on(const UnloadedEvent& event);

  std::optional<Error> wrong_mode(const protocol::Request& request) const;
  void accept(ClientId client, protocol::RequestId id, Work work);
  void load_llm(ClientId client, protocol::RequestId id, const protocol::LoadLlm& request);
  void unload(ClientId client, protocol::RequestId id);
  void cancel(ClientId client, const protocol::RequestId& id, const protocol::Cancel& request);

  void advance();
  void start_waiting(ClientQueue& queue);
  void start(WorkId id, Work& work);
  void start_fit(WorkId id, const protocol::PromptFit& fit);
  void start_load();
  void start_unload();
  // Ends a request before its time: at once if it waits, as soon as the engine says so if it runs.
  void abort(WorkId id, const Error& reason);
  void fail(WorkId id, const Error& error);
  void finish(WorkId id, const protocol::Answer& answer);
  void forget(WorkId id);
  void fail_waiting(const Error& error);

  const DispatcherOptions options_;
  const Send send_;
  const std::shared_ptr<Inbox> inbox_;
  State state_ = State::unloaded;
  std::string wanted_model_;  // empty: the bridge's own
  std::string loaded_model_;  // as wanted when it was loaded
  std::string model_name_;    // what the loaded one is called
  std::vector<Waiter> load_waiters_;
  std::vector<Waiter> unload_waiters_;
  std::map<WorkId, Work> works_;
  std::map<ClientId, ClientQueue> queues_;  // of clients that wait for something
  std::multimap<TimePoint, WorkId> deadlines_;
  WorkId last_work_ = 0;
  std::size_t started_ = 0;
  std::size_t queued_frames_ = 0;
  std::size_t queued_bytes_ = 0;
  TimePoint last_work_at_;
  bool stopping_ = false;
  engine::EngineCounters retired_;  // of engines that are gone
  // The engine reports to inbox_, and the host may hold an engine: they go first.
  std::unique_ptr<engine::Engine> engine_;
  ModelHost host_;
};

}  // namespace escribano::bridge
