#include "engine/engine.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/core/describe_job.h"
#include "engine/core/embedding_cache.h"
#include "engine/core/image_stage.h"
#include "engine/plan/attempt.h"
#include "engine/plan/planner.h"

namespace escribano::engine {
namespace {

// Pictures that may be loaded ahead of the vision tower: enough that it never waits, few enough that memory stays flat.
constexpr std::size_t kImagesAhead = 8;

class Stopwatch {
 public:
  double ms() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

class Engine::Impl {
 public:
  Impl(std::unique_ptr<Backend> backend, const EngineOptions& options)
      : backend_(std::move(backend)),
        options_(options),
        embeddings_(options_.embedding_cache_bytes),
        images_(*backend_, options_, [this](std::shared_ptr<Unit> unit) { post_loaded(std::move(unit)); }),
        thread_([this](const std::stop_token& stop) { run(stop); }) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      thread_.request_stop();
      backend_->interrupt();
    }
    inbox_changed_.notify_all();
    thread_.join();
  }

  Result<JobId> submit(DescribeRequest request, DescribeObserver observer);
  void cancel(JobId id);
  EngineCounters counters() const {
    const std::lock_guard lock(mutex_);
    return counters_;
  }
  const Backend& backend() const noexcept { return *backend_; }

 private:
  using JobPtr = std::shared_ptr<DescribeJob>;
  using UnitPtr = std::shared_ptr<Unit>;

  void run(const std::stop_token& stop);
  void post_loaded(UnitPtr unit);
  void collect_inbox();
  void drop_cancelled();
  void start_loading();
  void take_ready(UnitPtr unit);
  EngineState state() const;
  void wait_for_inbox(const std::stop_token& stop);

  void admit(int slot);
  void encode(std::size_t index);  // of running_
  void prefill(std::size_t index);
  void decode();
  // What a sampled token made of a sequence: it goes on, its answer ended, or it failed.
  struct Sampled {
    UnitPtr unit;
    Result<std::optional<FinishReason>> ended;
  };
  Sampled sample(const UnitPtr& unit, std::span<const float> logits);
  Result<std::optional<FinishReason>> append_token(Sequence& sequence, Token token) const;
  void settle(const Sampled& sampled);
  void retry(const UnitPtr& unit, const Retry& plan);
  void fail_unit(const UnitPtr& unit, const Error& error);
  void release(const UnitPtr& unit);
  void publish_counters();
  std::string text_of(std::span<const Token> tokens) const;
  template <class Work>
  auto interruptible(const DescribeJob* job, Work work) -> decltype(work());

  std::unique_ptr<Backend> backend_;
  EngineOptions options_;

  // Shared between threads, guarded by mutex_.
  mutable std::mutex mutex_;
  std::condition_variable_any inbox_changed_;
  std::vector<JobPtr> submitted_;
  std::vector<UnitPtr> loaded_;
  std::vector<std::weak_ptr<DescribeJob>> known_;  // for cancel()
  const DescribeJob* stepping_for_ = nullptr;      // the job whose encode or prefill is running now
  JobId last_id_ = 0;
  EngineCounters counters_;

  // Engine thread only.
  std::stop_token stop_;
  std::vector<JobPtr> jobs_;  // in the order in which they were last served
  std::deque<UnitPtr> ready_;
  std::vector<UnitPtr> running_;
  std::size_t images_loading_ = 0;
  EngineCounters totals_;
  EmbeddingCache embeddings_;

  ImageStage images_;  // before thread_: its workers post to us until they are joined, which is after the thread
  std::jthread thread_;
};

Result<JobId> Engine::Impl::submit(DescribeRequest request, DescribeObserver observer) {
  if (const std::vector<std::string> problems = request.validate(); !problems.empty()) {
    return fail(Errc::invalid_argument, "{}", problems.front());
  }
  const int frames_per_prompt = std::min(request.batch_size, options_.max_frames_per_prompt);
  const std::lock_guard lock(mutex_);
  auto job = std::make_shared<DescribeJob>(++last_id_, std::move(request), std::move(observer), frames_per_prompt);
  std::erase_if(known_, [](const auto& weak) { return weak.expired(); });
  known_.push_back(job);
  submitted_.push_back(std::move(job));
  inbox_changed_.notify_all();
  return last_id_;
}

void Engine::Impl::cancel(JobId id) {
  const std::lock_guard lock(mutex_);
  for (const auto& weak : known_) {
    const JobPtr job = weak.lock();
    if (!job || job->id() != id) continue;
    job->cancelled.store(true);
    // A step for that job alone need not be finished. A decode step is short, and others have a part in it.
    if (stepping_for_ == job.get()) backend_->interrupt();
  }
  inbox_changed_.notify_all();
}

void Engine::Impl::post_loaded(UnitPtr unit) {
  const std::lock_guard lock(mutex_);
  loaded_.push_back(std::move(unit));
  inbox_changed_.notify_all();
}

void Engine::Impl::run(const std::stop_token& stop) {
  stop_ = stop;
  while (!stop.stop_requested()) {
    collect_inbox();
    drop_cancelled();
    start_loading();
    publish_counters();
    switch (const StepPlan plan = plan_step(state()); plan.action) {
      case StepPlan::Action::wait: wait_for_inbox(stop); break;
      case StepPlan::Action::admit: admit(plan.slot); break;
      case StepPlan::Action::encode: encode(static_cast<std::size_t>(plan.sequence)); break;
      case StepPlan::Action::prefill: prefill(static_cast<std::size_t>(plan.sequence)); break;
      case StepPlan::Action::decode: decode(); break;
    }
  }
  collect_inbox();
  for (const JobPtr& job : jobs_) job->finish(fail(Errc::cancelled, "the engine is stopping"));
}

void Engine::Impl::collect_inbox() {
  std::vector<UnitPtr> loaded;
  {
    const std::lock_guard lock(mutex_);
    jobs_.insert(jobs_.end(), submitted_.begin(), submitted_.end());
    submitted_.clear();
    loaded.swap(loaded_);
  }
  for (UnitPtr& unit : loaded) {
    images_loading_ -= unit->images.size();
    take_ready(std::move(unit));
  }
}

void Engine::Impl::wait_for_inbox(const std::stop_token& stop) {
  const auto cancelled = [&] {
    return std::any_of(jobs_.begin(), jobs_.end(), [](const JobPtr& job) { return job->cancelled.load(); });
  };
  std::unique_lock lock(mutex_);
  inbox_changed_.wait(lock, stop, [&] { return !submitted_.empty() || !loaded_.empty() || cancelled(); });
}

void Engine::Impl::drop_cancelled() {
  const auto is_cancelled = [](const UnitPtr& unit) { return unit->job->cancelled.load(); };
  for (const UnitPtr& unit : running_) {
    if (is_cancelled(unit)) backend_->truncate(unit->sequence.slot, 0);
  }
  std::erase_if(running_, is_cancelled);
  std::erase_if(ready_, is_cancelled);
  for (const JobPtr& job : std::vector<JobPtr>(jobs_)) {
    if (!job->cancelled.load()) continue;
    std::erase(jobs_, job);
    job->finish(fail(Errc::cancelled, "cancelled"));
  }
}

void Engine::Impl::start_loading() {
  while (true) {
    std::size_t ahead = images_loading_;
    for (const UnitPtr& unit : ready_) ahead += unit->images.size();
    if (ahead >= kImagesAhead) return;
    // The job with the fewest units on their way; among equals the one served longest ago, which stands first.
    const auto next = std::min_element(jobs_.begin(), jobs_.end(), [](const JobPtr& a, const JobPtr& b) {
      if (a->has_waiting_frames() != b->has_waiting_frames()) return a->has_waiting_frames();
      return a->units_in_flight < b->units_in_flight;
    });
    if (next == jobs_.end() || !(*next)->has_waiting_frames()) return;
    const JobPtr job = *next;
    std::rotate(next, next + 1, jobs_.end());
    const UnitPtr unit = job->next_unit(job);
    ++job->units_in_flight;
    images_loading_ += unit->images.size();
    images_.start(unit);
  }
}

// A loaded unit becomes ready for a slot, or ends here because it cannot get one.
void Engine::Impl::take_ready(UnitPtr unit) {
  for (const LoadedImage& image : unit->images) totals_.load_s += image.load_ms / 1000;
  if (unit->job->cancelled.load()) return;
  if (unit->members.empty()) return fail_unit(unit, Error{});  // every frame has an error of its own
  if (unit->prompt_error) return fail_unit(unit, *unit->prompt_error);

  Sequence& sequence = unit->sequence;
  const int factor = options_.pixel_rule.patch_size_px * options_.pixel_rule.merge_size;
  sequence.prompt_tokens = unit->prompt.text_tokens();
  for (std::size_t i = 0; i < unit->members.size(); ++i) {
    const Size size = unit->member(i).size;
    sequence.prompt_tokens += (size.width_px / factor) * (size.height_px / factor);
  }
  if (sequence.prompt_tokens >= backend_->context_tokens()) {
    return fail_unit(unit, Error{Errc::context_full,
                                 fmt::format("the prompt has {} tokens and the context holds {}; use smaller images or "
                                             "fewer frames a prompt",
                                             sequence.prompt_tokens, backend_->context_tokens())});
  }
  const DescribeRequest& request = unit->job->request();
  sequence.max_tokens = std::min(request.max_tokens, backend_->context_tokens() - sequence.prompt_tokens);
  sequence.grammar = unit->job->grammar(unit->members.size(), request.constrained);
  sequence.sampler.emplace(request.sampling, backend_->vocabulary(), unit->member(0).hash.low);
  ready_.push_back(std::move(unit));
}

EngineState Engine::Impl::state() const {
  EngineState state{.slots = backend_->slots(), .ready = static_cast<int>(ready_.size()), .running = {}};
  for (const UnitPtr& unit : running_) {
    const Sequence& sequence = unit->sequence;
    const auto& pieces = unit->prompt.pieces;
    const auto* image =
        sequence.next_piece < pieces.size() ? std::get_if<ImagePart>(&pieces[sequence.next_piece]) : nullptr;
    state.running.push_back({
        .slot = sequence.slot,
        .images_to_encode = image != nullptr && !unit->member(image->image).embedding ? 1 : 0,
        .pieces_to_prefill = static_cast<int>(pieces.size() - sequence.next_piece),
    });
  }
  return state;
}

void Engine::Impl::admit(int slot) {
  const UnitPtr unit = std::move(ready_.front());
  ready_.pop_front();
  unit->sequence.slot = slot;
  backend_->truncate(slot, 0);
  const auto at =
      std::find_if(running_.begin(), running_.end(), [&](const UnitPtr& other) { return other->sequence.slot > slot; });
  running_.insert(at, unit);  // kept sorted by slot
}

// Runs `work` so that cancelling `job` interrupts it; nullptr for a step that several jobs share.
template <class Work>
auto Engine::Impl::interruptible(const DescribeJob* job, Work work) -> decltype(work()) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_.stop_requested() || (job != nullptr && job->cancelled.load())) {
      return fail(Errc::cancelled, "cancelled");
    }
    backend_->arm();
    stepping_for_ = job;
  }
  auto result = work();
  const std::lock_guard lock(mutex_);
  stepping_for_ = nullptr;
  return result;
}

void Engine::Impl::encode(std::size_t index) {
  const UnitPtr unit = running_[index];
  const auto& piece = unit->prompt.pieces[unit->sequence.next_piece];
  LoadedImage& image = unit->member(std::get<ImagePart>(piece).image);
  image.embedding = embeddings_.find(image.hash);
  if (image.embedding) {
    image.reused = Reuse::cache;
    ++totals_.images_reused;
  } else {
    const Stopwatch watch;
    auto encoded = interruptible(unit->job.get(), [&] { return backend_->encode(*image.prepared); });
    if (!encoded) return fail_unit(unit, encoded.error());
    image.embedding = std::make_shared<const ImageEmbedding>(*std::move(encoded));
    image.encode_ms = watch.ms();
    embeddings_.insert(image.hash, image.embedding);
    ++totals_.images_encoded;
    totals_.encode_s += image.encode_ms / 1000;
  }
  image.prepared.reset();
}

void Engine::Impl::prefill(std::size_t index) {
  const UnitPtr unit = running_[index];
  Sequence& sequence = unit->sequence;
  const auto& piece = unit->prompt.pieces[sequence.next_piece];
  const bool last = sequence.next_piece + 1 == unit->prompt.pieces.size();
  const Stopwatch watch;
  const Status status = interruptible(unit->job.get(), [&]() -> Status {
    if (const auto* image = std::get_if<ImagePart>(&piece)) {
      const ImageEmbedding& embedding = *unit->member(image->image).embedding;
      ESCRIBANO_CHECK(backend_->prefill(sequence.slot, embedding, sequence.position));
      sequence.position += embedding.positions;
      return {};
    }
    const auto& tokens = std::get<std::vector<Token>>(piece);
    ESCRIBANO_CHECK(backend_->prefill(sequence.slot, tokens, sequence.position, last));
    sequence.position += static_cast<Position>(tokens.size());
    return {};
  });
  sequence.prefill_ms += watch.ms();
  totals_.prefill_s += watch.ms() / 1000;
  if (!status) return fail_unit(unit, status.error());
  ++sequence.next_piece;
  if (!last) return;
  sequence.prompt_end = sequence.position;
  totals_.prompt_tokens += static_cast<std::uint64_t>(sequence.prompt_tokens);
  settle(sample(unit, backend_->logits(0)));
}

void Engine::Impl::decode() {
  std::vector<int> slots;
  slots.reserve(running_.size());
  for (const UnitPtr& unit : running_) slots.push_back(unit->sequence.slot);
  const std::vector<PlannedRow> plan = decode_rows(slots, std::max(2, backend_->slots()));
  std::vector<DecodeRow> rows;
  for (const PlannedRow& row : plan) {
    if (row.sequence < 0) {
      rows.push_back({.slot = row.slot});
      continue;
    }
    const Sequence& sequence = running_[static_cast<std::size_t>(row.sequence)]->sequence;
    rows.push_back({.slot = row.slot, .token = sequence.output.back(), .position = sequence.position});
  }
  const Stopwatch watch;
  const Status status = interruptible(nullptr, [&] { return backend_->decode(rows); });
  const double ms = watch.ms();
  ++totals_.decode_steps;
  totals_.decode_s += ms / 1000;
  const std::vector<UnitPtr> stepped = running_;
  // All rows are sampled before any sequence is settled: that may run the backend again, and these logits are gone then.
  std::vector<Sampled> sampled;
  for (std::size_t i = 0; i < plan.size(); ++i) {
    if (plan[i].sequence < 0) {
      backend_->truncate(plan[i].slot, 0);
      continue;
    }
    const UnitPtr& unit = stepped[static_cast<std::size_t>(plan[i].sequence)];
    if (!status) {
      sampled.push_back({unit, fail(status.error())});
      continue;
    }
    ++unit->sequence.position;
    unit->sequence.decode_ms += ms / static_cast<double>(stepped.size());
    sampled.push_back(sample(unit, backend_->logits(static_cast<int>(i))));
  }
  for (const Sampled& one : sampled) settle(one);
}

Engine::Impl::Sampled Engine::Impl::sample(const UnitPtr& unit, std::span<const float> logits) {
  Sequence& sequence = unit->sequence;
  const LineGrammar* grammar = sequence.grammar ? &*sequence.grammar : nullptr;
  const Result<Token> token = sequence.sampler->pick(logits, grammar, std::exchange(sequence.banned, std::nullopt));
  if (!token) return {unit, fail(token.error())};
  ++sequence.sampled_tokens;
  ++totals_.generation_tokens;
  return {unit, append_token(sequence, *token)};
}

// Whether and why the answer ends with `token`.
Result<std::optional<FinishReason>> Engine::Impl::append_token(Sequence& sequence, Token token) const {
  using Ended = std::optional<FinishReason>;
  const Vocabulary& vocabulary = backend_->vocabulary();
  if (vocabulary.is_end(token)) return Ended(FinishReason::stop);
  sequence.output.push_back(token);
  if (sequence.grammar) {
    sequence.grammar->advance(vocabulary.piece(token));
    // Nothing but the end of the turn could follow: no step is spent on it.
    if (sequence.grammar->must_end()) return Ended(FinishReason::stop);
  }
  if (find_loop(sequence.output)) return Ended(FinishReason::loop);
  if (static_cast<int>(sequence.output.size()) >= sequence.max_tokens) return Ended(FinishReason::length);
  return Ended();
}

void Engine::Impl::settle(const Sampled& sampled) {
  const UnitPtr& unit = sampled.unit;
  if (!sampled.ended) return fail_unit(unit, sampled.ended.error());
  if (!*sampled.ended) return;
  const FinishReason reason = **sampled.ended;
  const Sequence& sequence = unit->sequence;
  const std::string text = text_of(sequence.output);
  const AttemptState attempt = {
      .outcome = unit->job->outcome(*unit, text, reason),
      .attempts = sequence.attempts,
      .max_tokens = sequence.max_tokens,
      .room_tokens = backend_->context_tokens() - sequence.prompt_tokens,
      .constrained = sequence.grammar.has_value(),
  };
  if (const auto plan = plan_retry(attempt)) return retry(unit, *plan);
  unit->job->deliver_answer(*unit, text, reason);
  release(unit);
}

void Engine::Impl::retry(const UnitPtr& unit, const Retry& plan) {
  Sequence& sequence = unit->sequence;
  ++sequence.attempts;
  sequence.max_tokens = plan.max_tokens;
  switch (plan.kind) {
    case Retry::Kind::extend: return;  // the context still holds everything: go on
    case Retry::Kind::break_loop: {
      const Loop loop = *find_loop(sequence.output);
      const std::size_t keep = loop.start + loop.period;
      sequence.banned = sequence.output[keep];
      sequence.output.resize(keep);
      sequence.position = sequence.prompt_end + static_cast<Position>(keep) - 1;
      if (sequence.grammar) {
        sequence.grammar = unit->job->grammar(unit->members.size(), true);
        sequence.grammar->advance(text_of(sequence.output));
      }
      backend_->truncate(sequence.slot, sequence.position);
      return;
    }
    case Retry::Kind::constrain: {
      // Only the logits after the prompt's last token are wanted again.
      const auto& last_piece = std::get<std::vector<Token>>(unit->prompt.pieces.back());
      const std::span<const Token> last = std::span(last_piece).last(1);
      sequence.output.clear();
      sequence.grammar = unit->job->grammar(unit->members.size(), true);
      sequence.position = sequence.prompt_end;
      backend_->truncate(sequence.slot, sequence.prompt_end - 1);
      const Status status = interruptible(
          unit->job.get(), [&] { return backend_->prefill(sequence.slot, last, sequence.prompt_end - 1, true); });
      if (!status) return fail_unit(unit, status.error());
      return settle(sample(unit, backend_->logits(0)));
    }
  }
}

void Engine::Impl::fail_unit(const UnitPtr& unit, const Error& error) {
  // What is cancelled, one job or all of them with the engine, is reported once for the job as a whole.
  if (error.code != Errc::cancelled && !unit->job->cancelled.load()) unit->job->deliver_failure(*unit, error);
  release(unit);
}

// The unit has been answered: its slot is free and its job may be complete.
void Engine::Impl::release(const UnitPtr& unit) {
  if (std::erase(running_, unit) > 0) backend_->truncate(unit->sequence.slot, 0);
  const JobPtr& job = unit->job;
  --job->units_in_flight;
  const DescribeJob::Tally tally = job->take_tally();
  totals_.frames_described += tally.described;
  totals_.frames_unparsed += tally.unparsed;
  totals_.frames_failed += tally.failed;
  if (!job->complete()) return;
  std::erase(jobs_, job);
  publish_counters();  // whoever is told that the job is done finds it counted
  job->finish({});
}

void Engine::Impl::publish_counters() {
  totals_.running_sequences = static_cast<int>(running_.size());
  std::size_t queued = images_loading_;
  for (const JobPtr& job : jobs_) queued += job->waiting_frames();
  for (const UnitPtr& unit : ready_) queued += unit->images.size();
  totals_.queued_frames = static_cast<int>(queued);
  const std::lock_guard lock(mutex_);
  counters_ = totals_;
}

std::string Engine::Impl::text_of(std::span<const Token> tokens) const {
  std::string text;
  for (const Token token : tokens) text += backend_->vocabulary().piece(token);
  return text;
}

// ---- the public face --------------------------------------------------------------------------------------------------

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::start(std::unique_ptr<Backend> backend, const EngineOptions& options) {
  if (!backend->has_vision()) {
    return fail(Errc::no_vision, "the model has no vision tower: it can write text, but not describe frames");
  }
  return std::unique_ptr<Engine>(new Engine(std::make_unique<Impl>(std::move(backend), options)));
}

Result<JobId> Engine::submit(DescribeRequest request, DescribeObserver observer) {
  return impl_->submit(std::move(request), std::move(observer));
}
void Engine::cancel(JobId job) { impl_->cancel(job); }
EngineCounters Engine::counters() const { return impl_->counters(); }
int Engine::slots() const noexcept { return impl_->backend().slots(); }
int Engine::context_tokens() const noexcept { return impl_->backend().context_tokens(); }

std::vector<std::string> DescribeRequest::validate() const {
  std::vector<std::string> problems;
  if (frames.empty()) problems.emplace_back("there are no frames to describe");
  if (batch_size < 1 || batch_size > 1024) {
    problems.push_back(fmt::format("the batch size is {}; it must be 1 to 1024", batch_size));
  }
  if (max_tokens < 1 || max_tokens > 1'000'000) {
    problems.push_back(fmt::format("the token budget is {}; it must be 1 to 1000000", max_tokens));
  }
  if (std::any_of(frames.begin(), frames.end(), [](const FrameInput& f) { return !std::isfinite(f.timestamp_s); })) {
    problems.emplace_back("a timestamp is not a finite number");
  }
  if (!(sampling.temperature >= 0 && sampling.temperature <= 10)) {
    problems.push_back(fmt::format("the temperature is {}; it must be 0 to 10", sampling.temperature));
  }
  return problems;
}

std::string_view finish_reason_name(FinishReason reason) noexcept {
  switch (reason) {
    case FinishReason::stop: return "stop";
    case FinishReason::length: return "length";
    case FinishReason::loop: return "loop";
    case FinishReason::cancelled: return "cancelled";
  }
  return "stop";
}

std::string_view reuse_name(Reuse reuse) noexcept {
  switch (reuse) {
    case Reuse::none: return "none";
    case Reuse::cache: return "cache";
  }
  return "none";
}

}  // namespace escribano::engine
