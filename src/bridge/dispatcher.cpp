#include "bridge/dispatcher.h"

#include <algorithm>
#include <utility>

#include <sys/resource.h>

namespace escribano::bridge {
namespace {

using protocol::Answer;
using protocol::Mode;

// Half of a small context at most: the figure is the reserve of a large one.
constexpr int kReservedTokens = 24'000;

Answer error_answer(protocol::RequestId id, Error error) {
  return {std::move(id), protocol::ErrorAnswer{std::move(error)}};
}

Error shutting_down() { return {Errc::cancelled, "the bridge is shutting down"}; }

// The most memory that this process ever had, in units of 1e9 bytes.
double peak_memory_gb() {
  struct rusage usage = {};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
#ifdef __APPLE__
  return static_cast<double>(usage.ru_maxrss) / 1e9;
#else
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e9;
#endif
}

engine::EngineCounters sum(engine::EngineCounters a, const engine::EngineCounters& b) {
  a.queued_frames += b.queued_frames;
  a.running_sequences += b.running_sequences;
  a.frames_described += b.frames_described;
  a.frames_unparsed += b.frames_unparsed;
  a.frames_failed += b.frames_failed;
  a.images_encoded += b.images_encoded;
  a.images_reused += b.images_reused;
  a.image_tokens_encoded += b.image_tokens_encoded;
  a.prompt_tokens += b.prompt_tokens;
  a.generation_tokens += b.generation_tokens;
  a.drafted_tokens += b.drafted_tokens;
  a.accepted_tokens += b.accepted_tokens;
  a.decode_steps += b.decode_steps;
  a.cache_bytes = b.cache_bytes;  // what is held now, not what ever was
  a.cache_limit_bytes = b.cache_limit_bytes;
  a.load_s += b.load_s;
  a.encode_s += b.encode_s;
  a.prefill_s += b.prefill_s;
  a.decode_s += b.decode_s;
  return a;
}

}  // namespace

void Dispatcher::Inbox::post(Event event) {
  {
    const std::lock_guard lock(mutex);
    events.push_back(std::move(event));
  }
  wake();
}

Dispatcher::Dispatcher(DispatcherOptions options, ModelLoader loader, Send send, std::function<void()> wake)
    : options_(std::move(options)),
      send_(std::move(send)),
      inbox_(std::make_shared<Inbox>()),
      model_name_(options_.model_name),
      last_work_at_(options_.now()),
      host_(std::move(loader)) {
  inbox_->wake = std::move(wake);
}

Dispatcher::~Dispatcher() = default;

void Dispatcher::adopt(LoadedModel model) {
  engine_ = std::move(model.engine);
  model_name_ = std::move(model.name);
  state_ = State::loaded;
}

std::optional<Error> Dispatcher::wrong_mode(const protocol::Request& request) const {
  const auto mode_of = [](const auto& method) -> std::optional<Mode> {
    using Method = std::decay_t<decltype(method)>;
    if constexpr (std::is_same_v<Method, protocol::DescribeImages>) return Mode::vlm;
    if constexpr (std::is_same_v<Method, protocol::LoadLlm>) return Mode::llm;
    if constexpr (std::is_same_v<Method, protocol::Infer>) {
      return method.method == protocol::Infer::Method::llm_infer ? Mode::llm : Mode::vlm;
    }
    if constexpr (std::is_same_v<Method, protocol::PromptFit> || std::is_same_v<Method, protocol::Unload>) {
      return method.mode;
    }
    return std::nullopt;
  };
  const std::optional<Mode> mode = std::visit(mode_of, request.method);
  if (!mode || *mode == options_.mode) return std::nullopt;
  return Error{Errc::unsupported, fmt::format("this method is for {} mode, and this bridge runs in {} mode",
                                              protocol::mode_name(*mode), protocol::mode_name(options_.mode))};
}

void Dispatcher::handle(ClientId client, protocol::Request request, std::size_t line_bytes) {
  if (const auto error = wrong_mode(request)) return send_(client, error_answer(std::move(request.id), *error));
  if (stopping_) return send_(client, error_answer(std::move(request.id), shutting_down()));
  Work work;
  work.line_bytes = line_bytes;
  if (auto* describe = std::get_if<protocol::DescribeImages>(&request.method)) {
    const int batch_size = describe->batch_size.value_or(options_.defaults.batch_size);
    // Whole at once: gcc 12 with sanitizers takes emplace() into a local optional for a use of what is not there yet.
    Work batched = {.frames = describe->images.size(),
                    .line_bytes = line_bytes,
                    .batches = BatchCollector(describe->images.size(), batch_size)};
    if (describe->deadline) batched.deadline = options_.now() + *describe->deadline;
    batched.what = std::move(*describe);
    accept(client, std::move(request.id), std::move(batched));
  } else if (auto* infer = std::get_if<protocol::Infer>(&request.method)) {
    if (infer->deadline) work.deadline = options_.now() + *infer->deadline;
    work.what = std::move(*infer);
    accept(client, std::move(request.id), std::move(work));
  } else if (auto* fit = std::get_if<protocol::PromptFit>(&request.method)) {
    work.what = std::move(*fit);
    accept(client, std::move(request.id), std::move(work));
  } else if (const auto* load = std::get_if<protocol::LoadLlm>(&request.method)) {
    load_llm(client, std::move(request.id), *load);
  } else if (std::holds_alternative<protocol::Unload>(request.method)) {
    unload(client, std::move(request.id));
  } else if (const auto* cancelled = std::get_if<protocol::Cancel>(&request.method)) {
    cancel(client, request.id, *cancelled);
  } else {
    send_(client, error_answer(std::move(request.id), {Errc::internal, "this request has no handler"}));
  }
  advance();
}

void Dispatcher::accept(ClientId client, protocol::RequestId id, Work work) {
  const auto limit = static_cast<std::size_t>(options_.max_queued_frames);
  if (work.frames > limit - std::min(limit, queued_frames_)) {
    return send_(client, error_answer(std::move(id), {Errc::overloaded,
                                                      fmt::format("{} frames wait already and {} more are beyond the "
                                                                  "limit of {}; nothing was started, ask again later",
                                                                  queued_frames_, work.frames, limit)}));
  }
  if (work.line_bytes > options_.max_queued_bytes - std::min(options_.max_queued_bytes, queued_bytes_)) {
    return send_(client, error_answer(std::move(id), {Errc::overloaded,
                                                      fmt::format("requests of {} bytes wait already, and the limit is "
                                                                  "{}; nothing was started, ask again later",
                                                                  queued_bytes_, options_.max_queued_bytes)}));
  }
  work.client = client;
  work.id = std::move(id);
  queued_frames_ += work.frames;
  queued_bytes_ += work.line_bytes;
  last_work_at_ = options_.now();
  const WorkId work_id = ++last_work_;
  if (work.deadline) deadlines_.emplace(*work.deadline, work_id);
  ClientQueue& queue = queues_[client];
  queue.waiting.push_back(work_id);
  ++queue.unfinished;
  works_.emplace(work_id, std::move(work));
}

void Dispatcher::load_llm(ClientId client, protocol::RequestId id, const protocol::LoadLlm& request) {
  if (request.model != wanted_model_) {
    for (Waiter& waiter : std::exchange(load_waiters_, {})) {
      send_(waiter.client, error_answer(std::move(waiter.id), {Errc::cancelled, "another model was asked for"}));
    }
    wanted_model_ = request.model;
  }
  last_work_at_ = options_.now();
  load_waiters_.push_back({client, std::move(id), request.model});
}

void Dispatcher::unload(ClientId client, protocol::RequestId id) {
  unload_waiters_.push_back({client, std::move(id), {}});
}

void Dispatcher::cancel(ClientId client, const protocol::RequestId& id, const protocol::Cancel& request) {
  std::vector<WorkId> found;
  if (const auto queue = queues_.find(client); queue != queues_.end()) {
    for (const auto& [work_id, work] : works_) {
      if (work.client == client && work.id == request.request) found.push_back(work_id);
    }
  }
  if (found.empty()) {
    return send_(client, error_answer(id, {Errc::not_found, "no such request of this connection is running"}));
  }
  send_(client, {id, protocol::StatusWordAnswer{"cancelled"}});
  for (const WorkId work_id : found) abort(work_id, {Errc::cancelled, "cancelled"});
}

void Dispatcher::client_gone(ClientId client) {
  std::erase_if(load_waiters_, [&](const Waiter& waiter) { return waiter.client == client; });
  std::erase_if(unload_waiters_, [&](const Waiter& waiter) { return waiter.client == client; });
  if (!queues_.contains(client)) return;
  std::vector<WorkId> found;
  for (const auto& [work_id, work] : works_) {
    if (work.client == client) found.push_back(work_id);
  }
  for (const WorkId work_id : found) {
    const Work& work = works_.at(work_id);
    if (work.job) engine_->cancel(*work.job);
    forget(work_id);
  }
  advance();
}

void Dispatcher::stop() {
  stopping_ = true;
  std::vector<WorkId> all;
  all.reserve(works_.size());
  for (const auto& [work_id, work] : works_) all.push_back(work_id);
  for (const WorkId work_id : all) abort(work_id, shutting_down());
  for (std::vector<Waiter>* waiters : {&load_waiters_, &unload_waiters_}) {
    for (Waiter& waiter : std::exchange(*waiters, {})) {
      send_(waiter.client, error_answer(std::move(waiter.id), shutting_down()));
    }
  }
}

// ---- the model comes and goes -------------------------------------------------------------------------------------

void Dispatcher::advance() {
  if (stopping_) return;
  const bool right_model = loaded_model_ == wanted_model_;
  if (state_ == State::loaded && right_model) {
    for (Waiter& waiter : std::exchange(load_waiters_, {})) {
      send_(waiter.client, {std::move(waiter.id), protocol::StatusWordAnswer{"loaded"}});
    }
    if (started_ < works_.size()) {
      // A request that fails at once may be its client's last, and its queue goes with it.
      std::vector<ClientId> clients;
      clients.reserve(queues_.size());
      for (const auto& [client, queue] : queues_) clients.push_back(client);
      for (const ClientId client : clients) {
        if (const auto queue = queues_.find(client); queue != queues_.end()) start_waiting(queue->second);
      }
    }
  }
  if (state_ == State::loaded && started_ == 0 && (!right_model || (works_.empty() && !unload_waiters_.empty()))) {
    start_unload();
  }
  if (state_ == State::unloaded) {
    for (Waiter& waiter : std::exchange(unload_waiters_, {})) {
      send_(waiter.client, {std::move(waiter.id), protocol::StatusWordAnswer{"unloaded"}});
    }
    if (!works_.empty() || !load_waiters_.empty()) start_load();
  }
}

void Dispatcher::start_load() {
  state_ = State::loading;
  loaded_model_ = wanted_model_;
  host_.load(wanted_model_, [inbox = inbox_](Result<LoadedModel> model) {
    inbox->post(LoadedEvent{std::make_shared<Result<LoadedModel>>(std::move(model))});
  });
}

void Dispatcher::start_unload() {
  state_ = State::unloading;
  engine::EngineCounters counters = engine_->counters();
  counters.queued_frames = 0;
  counters.running_sequences = 0;
  counters.cache_bytes = 0;
  counters.cache_limit_bytes = 0;
  retired_ = sum(retired_, counters);
  host_.destroy(std::move(engine_), [inbox = inbox_] { inbox->post(UnloadedEvent{}); });
}

void Dispatcher::on(const LoadedEvent& event) {
  Result<LoadedModel>& model = *event.model;
  last_work_at_ = options_.now();
  if (model) {
    adopt(*std::move(model));
    return;
  }
  state_ = State::unloaded;
  loaded_model_.clear();
  const Error error = model.error();
  fail_waiting(error);
  for (Waiter& waiter : std::exchange(load_waiters_, {})) {
    send_(waiter.client, error_answer(std::move(waiter.id), error));
  }
  wanted_model_.clear();
}

void Dispatcher::on(const UnloadedEvent&) { state_ = State::unloaded; }

void Dispatcher::fail_waiting(const Error& error) {
  std::vector<WorkId> waiting;
  for (const auto& [work_id, work] : works_) {
    if (!work.started) waiting.push_back(work_id);
  }
  for (const WorkId work_id : waiting) fail(work_id, error);
}

// ---- requests run -------------------------------------------------------------------------------------------------

void Dispatcher::start_waiting(ClientQueue& queue) {
  while (!queue.waiting.empty() && queue.started < options_.client_requests_at_once) {
    const WorkId id = queue.waiting.front();
    queue.waiting.pop_front();
    ++queue.started;
    ++started_;
    Work& work = works_.at(id);
    work.started = true;
    const bool last = queue.unfinished == 1;
    start(id, work);
    if (last) return;  // it may have failed at once, and the queue is gone then
  }
}

void Dispatcher::start(WorkId id, Work& work) {
  Result<engine::JobId> job = 0;
  if (const auto* describe = std::get_if<protocol::DescribeImages>(&work.what)) {
    job = engine_->submit(to_engine(*describe, options_.defaults),
                          {.on_frame =
                               [inbox = inbox_, id](const engine::FrameResult& r) {
                                 inbox->post(FrameEvent{id, r});
                               },
                           .on_done =
                               [inbox = inbox_, id](const Status& status) {
                                 inbox->post(DescribedEvent{id, status});
                               }});
  } else if (const auto* infer = std::get_if<protocol::Infer>(&work.what)) {
    job = engine_->submit(to_engine(*infer, options_.defaults),
                          [inbox = inbox_, id](const Result<engine::GenerateResult>& r) {
                            inbox->post(TextEvent{id, r});
                          });
  } else {
    return start_fit(id, std::get<protocol::PromptFit>(work.what));
  }
  if (!job) return fail(id, job.error());
  work.job = *job;
}

void Dispatcher::start_fit(WorkId id, const protocol::PromptFit& fit) {
  // Tokenising megabytes takes seconds. The engine goes to the same thread to be destroyed, so it is there until then.
  host_.post([inbox = inbox_, id, engine = engine_.get(), request = to_engine(fit.content)] {
    inbox->post(FitEvent{id, engine->prompt_tokens(request)});
  });
}

void Dispatcher::on(const FrameEvent& event) {
  const auto found = works_.find(event.work);
  if (found == works_.end()) return;  // its client is gone
  Work& work = found->second;
  const Frame& frame = std::get<protocol::DescribeImages>(work.what).images[event.result.index];
  if (auto batch = work.batches->add(to_domain(event.result, frame))) {
    send_(work.client, {work.id, *std::move(batch)});
  }
}

void Dispatcher::on(const DescribedEvent& event) {
  const auto found = works_.find(event.work);
  if (found == works_.end()) return;
  Work& work = found->second;
  if (event.status) return finish(event.work, {work.id, protocol::DoneAnswer{}});
  // What was done stays done.
  if (auto batch = work.batches->rest()) send_(work.client, {work.id, *std::move(batch)});
  fail(event.work, event.status.error());
}

void Dispatcher::on(const TextEvent& event) {
  const auto found = works_.find(event.work);
  if (found == works_.end()) return;
  if (!event.result) return fail(event.work, event.result.error());
  finish(event.work, {found->second.id, to_answer(*event.result, peak_memory_gb())});
}

void Dispatcher::on(const FitEvent& event) {
  const auto found = works_.find(event.work);
  if (found == works_.end()) return;
  if (!event.prompt_tokens) return fail(event.work, event.prompt_tokens.error());
  const auto& fit = std::get<protocol::PromptFit>(found->second.what);
  protocol::PromptFitAnswer answer;
  answer.prompt_tokens = *event.prompt_tokens;
  answer.context_limit = engine_->max_context_tokens();
  answer.requested_output_tokens = fit.requested_output_tokens.value_or(options_.defaults.text_max_tokens);
  answer.reserved_tokens = std::min(fit.reserved_tokens.value_or(kReservedTokens), answer.context_limit / 2);
  answer.safe_input_budget = answer.context_limit - answer.requested_output_tokens - answer.reserved_tokens;
  answer.fits = answer.prompt_tokens <= answer.safe_input_budget;
  finish(event.work, {found->second.id, answer});
}

void Dispatcher::abort(WorkId id, const Error& reason) {
  Work& work = works_.at(id);
  if (work.job) return engine_->cancel(*work.job, reason);
  if (work.started) return;  // its answer is a moment away
  fail(id, reason);
}

void Dispatcher::fail(WorkId id, const Error& error) { finish(id, error_answer(works_.at(id).id, error)); }

void Dispatcher::finish(WorkId id, const protocol::Answer& answer) {
  const ClientId client = works_.at(id).client;
  forget(id);
  send_(client, answer);
}

void Dispatcher::forget(WorkId id) {
  const auto found = works_.find(id);
  const Work& work = found->second;
  const auto queue = queues_.find(work.client);
  if (work.started) {
    --started_;
    --queue->second.started;
  } else {
    std::erase(queue->second.waiting, id);
  }
  if (--queue->second.unfinished == 0) queues_.erase(queue);
  if (work.deadline) {
    const auto [first, last] = deadlines_.equal_range(*work.deadline);
    const auto timer = std::find_if(first, last, [&](const auto& entry) { return entry.second == id; });
    if (timer != last) deadlines_.erase(timer);
  }
  queued_frames_ -= work.frames;
  queued_bytes_ -= work.line_bytes;
  last_work_at_ = options_.now();
  works_.erase(found);
}

// ---- events and time ----------------------------------------------------------------------------------------------

void Dispatcher::process_events() {
  std::vector<Event> events;
  {
    const std::lock_guard lock(inbox_->mutex);
    events.swap(inbox_->events);
  }
  for (const Event& event : events) std::visit([this](const auto& one) { on(one); }, event);
  if (!events.empty()) advance();
}

std::optional<TimePoint> Dispatcher::next_timer() const {
  std::optional<TimePoint> next;
  if (!deadlines_.empty()) next = deadlines_.begin()->first;
  if (options_.idle_unload.count() > 0 && state_ == State::loaded && works_.empty()) {
    const TimePoint unload_at = last_work_at_ + options_.idle_unload;
    next = next ? std::min(*next, unload_at) : unload_at;
  }
  return next;
}

void Dispatcher::run_timers() {
  const TimePoint now = options_.now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const WorkId id = deadlines_.begin()->second;
    deadlines_.erase(deadlines_.begin());
    abort(id, {Errc::deadline_exceeded, "the deadline passed before all was done"});
  }
  if (options_.idle_unload.count() > 0 && state_ == State::loaded && works_.empty() &&
      last_work_at_ + options_.idle_unload <= now) {
    start_unload();
  }
}

protocol::BridgeStatus Dispatcher::status() const {
  engine::EngineCounters counters = retired_;
  if (engine_) counters = sum(counters, engine_->counters());
  protocol::BridgeStatus status;
  status.model = model_name_;
  status.mode = options_.mode;
  status.loaded = state_ == State::loaded;
  status.requests = static_cast<int>(works_.size());
  status.queued_frames = counters.queued_frames;
  for (const auto& [id, work] : works_) {
    if (!work.started) status.queued_frames += static_cast<int>(work.frames);
  }
  status.running_sequences = counters.running_sequences;
  status.frames_done = counters.frames_described + counters.frames_unparsed;
  status.frames_unparsed = counters.frames_unparsed;
  status.frames_failed = counters.frames_failed;
  status.frames_reused = counters.images_reused;
  status.prompt_tokens = counters.prompt_tokens;
  status.generation_tokens = counters.generation_tokens;
  status.drafted_tokens = counters.drafted_tokens;
  status.accepted_tokens = counters.accepted_tokens;
  status.load_s = counters.load_s;
  status.encode_s = counters.encode_s;
  status.prefill_s = counters.prefill_s;
  status.decode_s = counters.decode_s;
  status.decode_steps = counters.decode_steps;
  status.images_encoded = counters.images_encoded;
  status.cache_bytes = counters.cache_bytes;
  status.cache_limit_bytes = counters.cache_limit_bytes;
  return status;
}

}  // namespace escribano::bridge
