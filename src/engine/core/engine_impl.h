#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/core/answer_cache.h"
#include "engine/core/describe_job.h"
#include "engine/core/drafts.h"
#include "engine/core/embedding_cache.h"
#include "engine/core/generate_job.h"
#include "engine/core/image_stage.h"
#include "engine/core/job.h"
#include "engine/engine.h"
#include "engine/plan/planner.h"
#include "engine/plan/shape.h"

namespace escribano::engine {

// The limits that `options` set for `backend` as it was loaded.
ShapeLimits shape_limits(const Backend& backend, const EngineOptions& options);

// The queue (engine.cpp) and what is done with the model (engine_steps.cpp). The thread runs run(), which plans one step
// after the other.
class Engine::Impl {
 public:
  Impl(std::unique_ptr<Backend> backend, const EngineOptions& options)
      : backend_(std::move(backend)),
        options_(options),
        shape_limits_(shape_limits(*backend_, options_)),
        answers_(options_.answer_cache_bytes),
        embeddings_(options_.embedding_cache_bytes, options_.embedding_folder),
        drafts_(*backend_, options_.draft_tokens),
        images_(*backend_, options_, embeddings_, [this](std::shared_ptr<Unit> unit) { post_loaded(std::move(unit)); }),
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
  Result<JobId> submit(GenerateRequest request, GenerateJob::OnDone on_done);
  Result<int> prompt_tokens(const GenerateRequest& request) const;
  void cancel(JobId id, Error reason);
  EngineCounters counters() const {
    const std::lock_guard lock(mutex_);
    return counters_;
  }
  const Shape& normal_shape() const noexcept { return shape_limits_.normal; }
  int max_context_tokens() const noexcept {
    return shape_limits_.max_total_tokens > 0 ? shape_limits_.largest_context_tokens()
                                              : shape_limits_.normal.context_tokens;
  }

 private:
  using JobPtr = std::shared_ptr<Job>;
  using UnitPtr = std::shared_ptr<Unit>;

  Status check_vision() const;
  Status check(const GenerateRequest& request) const;
  template <class MakeJob>
  JobId post_job(MakeJob make);

  void run(const std::stop_token& stop);
  void post_loaded(UnitPtr unit);
  void collect_inbox();
  void drop_cancelled();
  void start_loading();
  void take_loaded(UnitPtr unit);
  void take_ready(UnitPtr unit);
  void note_reuse(LoadedImage& image);
  bool is_under_way(const AnswerKey& key) const;
  void take_duplicates();
  void answer_again(const UnitPtr& unit, const std::string& text);
  int largest_context_tokens() const;
  bool fit_context();
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
  Sampled sample_rows(const UnitPtr& unit, int first_row, int rows, const Drafts::Draft& draft);
  Result<std::optional<FinishReason>> append_token(Sequence& sequence, Token token) const;
  void settle(const Sampled& sampled);
  void retry(const UnitPtr& unit, const Retry& plan);
  void fail_unit(const UnitPtr& unit, const Error& error);
  void release(const UnitPtr& unit);
  void publish_counters();
  std::string text_of(std::span<const Token> tokens) const;
  template <class Work>
  auto interruptible(const Job* job, Work work) -> decltype(work());

  std::unique_ptr<Backend> backend_;
  EngineOptions options_;
  const ShapeLimits shape_limits_;

  // Shared between threads, guarded by mutex_.
  mutable std::mutex mutex_;
  std::condition_variable_any inbox_changed_;
  std::vector<JobPtr> submitted_;
  std::vector<UnitPtr> loaded_;
  std::vector<std::weak_ptr<Job>> known_;  // for cancel()
  const Job* stepping_for_ = nullptr;      // the job whose encode or prefill is running now
  JobId last_id_ = 0;
  EngineCounters counters_;

  // Engine thread only.
  std::stop_token stop_;
  std::vector<JobPtr> jobs_;  // in the order in which they were last served
  std::deque<UnitPtr> ready_;
  std::vector<UnitPtr> running_;
  std::vector<UnitPtr> loading_;
  std::vector<UnitPtr> duplicates_;  // wait for the answer of an equal unit in ready_ or running_
  bool next_fits_ = true;            // the first of ready_ may have a slot
  EngineCounters totals_;
  AnswerCache answers_;
  EmbeddingCache embeddings_;
  Drafts drafts_;
  std::uint64_t last_text_id_ = 0;

  ImageStage images_;  // before thread_: its workers post to us until they are joined, which is after the thread
  std::jthread thread_;
};

}  // namespace escribano::engine
