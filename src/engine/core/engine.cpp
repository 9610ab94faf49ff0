#include "engine/engine.h"

#include <algorithm>
#include <utility>

#include "engine/core/engine_impl.h"

namespace escribano::engine {
namespace {

// A prompt without pictures counts as one (kImagesAhead).
std::size_t images_ahead(const Unit& unit) { return std::max<std::size_t>(1, unit.images.size()); }

}  // namespace

ShapeLimits shape_limits(const Backend& backend, const EngineOptions& options) {
  const Shape loaded = {.slots = backend.slots(), .context_tokens = backend.context_tokens()};
  if (options.max_total_tokens == 0) return {.normal = loaded};
  return {.normal = {.slots = options.slots > 0 ? options.slots : loaded.slots,
                     .context_tokens = options.context_tokens > 0 ? options.context_tokens : loaded.context_tokens},
          .max_context_tokens = options.max_context_tokens,
          .max_total_tokens = options.max_total_tokens,
          .keep_larger = options.keep_larger_context};
}

Status Engine::Impl::check_vision() const {
  if (backend_->has_vision()) return {};
  return fail(Errc::no_vision, "the model has no vision tower: it can write text, but not look at images");
}

Status Engine::Impl::check(const GenerateRequest& request) const {
  if (const std::vector<std::string> problems = request.validate(); !problems.empty()) {
    return fail(Errc::invalid_argument, "{}", problems.front());
  }
  return images_of(request).empty() ? Status() : check_vision();
}

template <class MakeJob>
JobId Engine::Impl::post_job(MakeJob make) {
  const std::lock_guard lock(mutex_);
  JobPtr job = make(++last_id_);
  std::erase_if(known_, [](const auto& weak) { return weak.expired(); });
  known_.push_back(job);
  submitted_.push_back(std::move(job));
  inbox_changed_.notify_all();
  return last_id_;
}

Result<JobId> Engine::Impl::submit(DescribeRequest request, DescribeObserver observer) {
  if (const std::vector<std::string> problems = request.validate(); !problems.empty()) {
    return fail(Errc::invalid_argument, "{}", problems.front());
  }
  ESCRIBANO_CHECK(check_vision());
  const int frames_per_prompt = std::min(request.batch_size, options_.max_frames_per_prompt);
  return post_job([&](JobId id) {
    return std::make_shared<DescribeJob>(id, std::move(request), std::move(observer), frames_per_prompt);
  });
}

Result<JobId> Engine::Impl::submit(GenerateRequest request, GenerateJob::OnDone on_done) {
  ESCRIBANO_CHECK(check(request));
  return post_job([&](JobId id) { return std::make_shared<GenerateJob>(id, std::move(request), std::move(on_done)); });
}

Result<int> Engine::Impl::prompt_tokens(const GenerateRequest& request) const {
  ESCRIBANO_CHECK(check(request));
  ESCRIBANO_TRY(const Prompt prompt, conversation_prompt(*backend_, request));
  return prompt.text_tokens();
}

void Engine::Impl::cancel(JobId id, Error reason) {
  const std::lock_guard lock(mutex_);
  for (const auto& weak : known_) {
    const JobPtr job = weak.lock();
    if (!job || job->id() != id) continue;
    job->cancel(std::move(reason));
    // A step for that job alone need not be finished. A decode step is short, and others have a part in it.
    if (stepping_for_ == job.get()) backend_->interrupt();
    break;
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
    drop_cancelled();
    take_duplicates();  // before those that have just been loaded, which stand behind them
    collect_inbox();
    start_loading();
    next_fits_ = fit_context();
    publish_counters();
    switch (const StepPlan plan = plan_step(state()); plan.action) {
      case StepPlan::Action::wait:
        // Whoever a duplicate waited for may have failed just now.
        if (duplicates_.empty()) wait_for_inbox(stop);
        break;
      case StepPlan::Action::admit: admit(plan.slot); break;
      case StepPlan::Action::encode: encode(static_cast<std::size_t>(plan.sequence)); break;
      case StepPlan::Action::prefill: prefill(static_cast<std::size_t>(plan.sequence)); break;
      case StepPlan::Action::decode: decode(); break;
    }
  }
  collect_inbox();
  for (const JobPtr& job : jobs_) {
    job->finish(job->cancelled() ? fail(job->cancel_reason()) : fail(Errc::cancelled, "the engine is stopping"));
  }
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
    std::erase(loading_, unit);
    take_loaded(std::move(unit));
  }
}

void Engine::Impl::wait_for_inbox(const std::stop_token& stop) {
  const auto cancelled = [&] {
    return std::any_of(jobs_.begin(), jobs_.end(), [](const JobPtr& job) { return job->cancelled(); });
  };
  std::unique_lock lock(mutex_);
  inbox_changed_.wait(lock, stop, [&] { return !submitted_.empty() || !loaded_.empty() || cancelled(); });
}

void Engine::Impl::drop_cancelled() {
  const auto is_cancelled = [](const UnitPtr& unit) { return unit->job->cancelled(); };
  for (const UnitPtr& unit : running_) {
    if (is_cancelled(unit)) backend_->truncate(unit->sequence.slot, 0);
  }
  std::erase_if(running_, is_cancelled);
  std::erase_if(ready_, is_cancelled);
  std::erase_if(duplicates_, is_cancelled);
  for (const JobPtr& job : std::vector<JobPtr>(jobs_)) {
    if (!job->cancelled()) continue;
    std::erase(jobs_, job);
    job->finish(fail(job->cancel_reason()));
  }
}

void Engine::Impl::start_loading() {
  while (true) {
    std::size_t ahead = 0;
    for (const UnitPtr& unit : loading_) ahead += images_ahead(*unit);
    for (const UnitPtr& unit : ready_) ahead += images_ahead(*unit);
    for (const UnitPtr& unit : duplicates_) ahead += images_ahead(*unit);
    if (ahead >= std::size_t{kImagesAhead}) return;
    // The job with the fewest units on their way; among equals the one served longest ago, which stands first.
    const auto next = std::min_element(jobs_.begin(), jobs_.end(), [](const JobPtr& a, const JobPtr& b) {
      if (a->has_waiting_units() != b->has_waiting_units()) return a->has_waiting_units();
      return a->units_in_flight < b->units_in_flight;
    });
    if (next == jobs_.end() || !(*next)->has_waiting_units()) return;
    const JobPtr job = *next;
    std::rotate(next, next + 1, jobs_.end());
    const UnitPtr unit = job->next_unit(job);
    ++job->units_in_flight;
    loading_.push_back(unit);
    images_.start(unit);
  }
}

// A loaded unit becomes ready for a slot, or ends here because it cannot get one, or needs none.
void Engine::Impl::take_loaded(UnitPtr unit) {
  for (const LoadedImage& image : unit->images) totals_.load_s += image.load_ms / 1000;
  if (unit->job->cancelled()) return;
  if (unit->members.empty() && !unit->images.empty()) return fail_unit(unit, Error{});  // every image has its own error
  if (unit->prompt_error) return fail_unit(unit, *unit->prompt_error);

  Sequence& sequence = unit->sequence;
  const int factor = options_.pixel_rule.patch_size_px * options_.pixel_rule.merge_size;
  sequence.prompt_tokens = unit->prompt.text_tokens();
  for (std::size_t i = 0; i < unit->members.size(); ++i) {
    LoadedImage& image = unit->member(i);
    if (image.embedding) note_reuse(image);
    image.tokens = (image.size.width_px / factor) * (image.size.height_px / factor);
    sequence.prompt_tokens += image.tokens;
  }
  const int limit = largest_context_tokens();
  if (sequence.prompt_tokens >= limit) {
    return fail_unit(
        unit,
        Error{Errc::context_full,
              fmt::format("the prompt has {} tokens and the context holds {}; use {}", sequence.prompt_tokens, limit,
                          unit->images.empty() ? "a shorter text" : "smaller images or fewer frames a prompt")});
  }
  const Job& job = *unit->job;
  if (!answers_.is_off()) unit->answer_key = job.answer_key(*unit);
  sequence.room_tokens = std::min(job.most_output_tokens(), limit - sequence.prompt_tokens);
  sequence.max_tokens = std::min(job.max_tokens(), sequence.room_tokens);
  sequence.grammar = job.grammar(unit->members.size(), job.constrained());
  sequence.text_id = ++last_text_id_;
  if (job.answers_are_alike()) sequence.draft_kind = text_hash(unit->prompt) | 1U;
  sequence.sampler.emplace(job.sampling(), backend_->vocabulary(), sampling_salt(*unit));
  take_ready(std::move(unit));
}

// A unit whose answer is known ends here; one whose answer is being made waits for it.
void Engine::Impl::take_ready(UnitPtr unit) {
  if (unit->answer_key) {
    if (const auto text = answers_.find(*unit->answer_key)) return answer_again(unit, *text);
    if (is_under_way(*unit->answer_key)) return duplicates_.push_back(std::move(unit));
  }
  ready_.push_back(std::move(unit));
}

// `image` has an embedding that was made for an earlier one.
void Engine::Impl::note_reuse(LoadedImage& image) {
  image.reused = Reuse::cache;
  ++totals_.images_reused;
}

bool Engine::Impl::is_under_way(const AnswerKey& key) const {
  const auto has_key = [&](const UnitPtr& unit) { return unit->answer_key == key; };
  return std::any_of(ready_.begin(), ready_.end(), has_key) || std::any_of(running_.begin(), running_.end(), has_key);
}

// Those that need not wait any longer: their answer has come, or whoever was to make it is gone. Of these the first makes it
// itself, and the others wait for that one.
void Engine::Impl::take_duplicates() {
  for (UnitPtr& unit : std::exchange(duplicates_, {})) take_ready(std::move(unit));
}

void Engine::Impl::answer_again(const UnitPtr& unit, const std::string& text) {
  LoadedImage& image = unit->member(0);
  if (image.reused == Reuse::none) ++totals_.images_reused;
  image.reused = Reuse::duplicate;
  unit->sequence.prompt_tokens = 0;  // none was read
  unit->job->deliver_answer(*unit, text, FinishReason::stop);
  release(unit);
}

int Engine::Impl::largest_context_tokens() const {
  return shape_limits_.max_total_tokens > 0 ? shape_limits_.largest_context_tokens() : backend_->context_tokens();
}

// Sees to it that the context can hold the first of ready_. False while that has to wait for the running sequences.
bool Engine::Impl::fit_context() {
  while (!ready_.empty()) {
    ShapeState state = {
        .present = {.slots = backend_->slots(), .context_tokens = backend_->context_tokens()},
        .running = static_cast<int>(running_.size()),
        .needed_tokens = ready_.front()->needed_tokens(),
    };
    for (const UnitPtr& unit : running_) {
      state.longest_running_tokens = std::max(state.longest_running_tokens, unit->needed_tokens());
    }
    const ShapePlan plan = plan_shape(state, shape_limits_);
    if (plan.action != ShapePlan::Action::reshape) return plan.action == ShapePlan::Action::admit;
    const Status status = backend_->reshape(plan.shape.slots, plan.shape.context_tokens);
    if (status) return true;
    const UnitPtr unit = std::move(ready_.front());
    ready_.pop_front();
    fail_unit(unit, status.error());
  }
  return true;
}

EngineState Engine::Impl::state() const {
  EngineState state{
      .slots = backend_->slots(), .ready = next_fits_ ? static_cast<int>(ready_.size()) : 0, .running = {}};
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

void Engine::Impl::fail_unit(const UnitPtr& unit, const Error& error) {
  // What is cancelled, one job or all of them with the engine, is reported once for the job as a whole.
  if (error.code != Errc::cancelled && !unit->job->cancelled()) unit->job->deliver_failure(*unit, error);
  release(unit);
}

// The unit has been answered: its slot is free and its job may be complete.
void Engine::Impl::release(const UnitPtr& unit) {
  if (std::erase(running_, unit) > 0) backend_->truncate(unit->sequence.slot, 0);
  const JobPtr& job = unit->job;
  --job->units_in_flight;
  const Job::Tally tally = job->take_tally();
  totals_.frames_described += tally.described;
  totals_.frames_unparsed += tally.unparsed;
  totals_.frames_failed += tally.failed;
  totals_.generations += tally.generations;
  publish_counters();  // whoever is told of a frame finds it counted, and so is a job that is done
  job->hand_out();
  if (!job->complete()) return;
  std::erase(jobs_, job);
  publish_counters();
  job->finish({});
}

void Engine::Impl::publish_counters() {
  totals_.running_sequences = static_cast<int>(running_.size());
  std::size_t queued = 0;
  for (const UnitPtr& unit : loading_) queued += unit->images.size();
  for (const JobPtr& job : jobs_) queued += job->waiting_frames();
  for (const UnitPtr& unit : ready_) queued += unit->images.size();
  for (const UnitPtr& unit : duplicates_) queued += unit->images.size();
  totals_.queued_frames = static_cast<int>(queued);
  totals_.cache_bytes = embeddings_.size_bytes();
  totals_.cache_limit_bytes = embeddings_.limit_bytes();
  const std::lock_guard lock(mutex_);
  counters_ = totals_;
}

// ---- the public face --------------------------------------------------------------------------------------------------

Engine::Engine(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() = default;

Result<std::unique_ptr<Engine>> Engine::start(std::unique_ptr<Backend> backend, const EngineOptions& options) {
  if (!backend->has_vision() && !options.text_only) {
    return fail(Errc::no_vision, "the model has no vision tower: it can write text, but not describe frames");
  }
  if (const std::string problem = shape_limits(*backend, options).problem(); !problem.empty()) {
    return fail(Errc::invalid_argument, "{}", problem);
  }
  return std::unique_ptr<Engine>(new Engine(std::make_unique<Impl>(std::move(backend), options)));
}

Result<JobId> Engine::submit(DescribeRequest request, DescribeObserver observer) {
  return impl_->submit(std::move(request), std::move(observer));
}
Result<JobId> Engine::submit(GenerateRequest request, std::function<void(const Result<GenerateResult>&)> on_done) {
  return impl_->submit(std::move(request), std::move(on_done));
}
Result<int> Engine::prompt_tokens(const GenerateRequest& request) const { return impl_->prompt_tokens(request); }
void Engine::cancel(JobId job, Error reason) { impl_->cancel(job, std::move(reason)); }
EngineCounters Engine::counters() const { return impl_->counters(); }
int Engine::slots() const noexcept { return impl_->normal_shape().slots; }
int Engine::context_tokens() const noexcept { return impl_->normal_shape().context_tokens; }
int Engine::max_context_tokens() const noexcept { return impl_->max_context_tokens(); }

}  // namespace escribano::engine
