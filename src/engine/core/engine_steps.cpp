// What the engine's thread does with the model: the steps of plan/planner.h, and what becomes of a sampled token.
#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/core/engine_impl.h"
#include "engine/plan/attempt.h"

namespace escribano::engine {
namespace {

class Stopwatch {
 public:
  double ms() const {
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin_).count();
  }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

}  // namespace

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
auto Engine::Impl::interruptible(const Job* job, Work work) -> decltype(work()) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_.stop_requested() || (job != nullptr && job->cancelled())) {
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
  if (unit->job->reuse()) image.embedding = embeddings_.find(image.hash);
  if (image.embedding) {
    note_reuse(image);
  } else {
    const Stopwatch watch;
    auto encoded = interruptible(unit->job.get(), [&] { return backend_->encode(*image.prepared); });
    if (!encoded) return fail_unit(unit, encoded.error());
    image.embedding = std::make_shared<const ImageEmbedding>(*std::move(encoded));
    image.encode_ms = watch.ms();
    // What depends on the picture before is not what the next one may be given for these pixels.
    if (image.embedding->exact) embeddings_.insert(image.hash, image.embedding);
    if (image.embedding->reused_tokens > 0) image.reused = Reuse::patches;
    ++totals_.images_encoded;
    totals_.image_tokens_encoded +=
        static_cast<std::uint64_t>(image.embedding->tokens - image.embedding->reused_tokens);
    totals_.encode_s += image.encode_ms / 1000;
  }
  image.tokens = image.embedding->tokens;
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
  const std::vector<UnitPtr> stepped = running_;
  std::vector<int> slots;
  std::vector<Sequence*> sequences;
  for (const UnitPtr& unit : stepped) {
    slots.push_back(unit->sequence.slot);
    sequences.push_back(&unit->sequence);
  }
  const Drafts::Step step = drafts_.plan(sequences, slots.back() - slots.front() + 1, backend_->context_tokens());
  const std::vector<PlannedRow> plan = decode_rows(slots, std::max(2, backend_->slots()), step.rows);
  std::vector<DecodeRow> rows;
  rows.reserve(plan.size());
  for (const PlannedRow& row : plan) {
    rows.push_back({.slot = row.slot, .position = row.ahead});
    if (row.sequence < 0) continue;
    const auto at = static_cast<std::size_t>(row.sequence);
    const std::vector<Token>& draft = step.drafts[at].tokens;
    rows.back().position += sequences[at]->position;
    if (row.ahead == 0) {
      rows.back().token = sequences[at]->output.back();
    } else if (static_cast<std::size_t>(row.ahead) <= draft.size()) {
      rows.back().token = draft[static_cast<std::size_t>(row.ahead) - 1];
    }
  }
  const Stopwatch watch;
  const Status status = interruptible(nullptr, [&] { return backend_->decode(rows); });
  const double ms = watch.ms();
  ++totals_.decode_steps;
  totals_.decode_s += ms / 1000;
  // All rows are sampled before any sequence is settled: that may run the backend again, and these logits are gone then.
  std::vector<Sampled> sampled;
  for (std::size_t i = 0; i < plan.size(); i += static_cast<std::size_t>(step.rows)) {
    if (plan[i].sequence < 0) {
      backend_->truncate(plan[i].slot, 0);
      continue;
    }
    const auto at = static_cast<std::size_t>(plan[i].sequence);
    const UnitPtr& unit = stepped[at];
    if (!status) {
      sampled.push_back({unit, fail(status.error())});
      continue;
    }
    unit->sequence.decode_ms += ms / static_cast<double>(stepped.size());
    sampled.push_back(sample_rows(unit, static_cast<int>(i), step.rows, step.drafts[at]));
  }
  for (const Sampled& one : sampled) settle(one);
}

// The tokens that a step gives a sequence: one after its last token, and one more for every token of its draft that is the
// one chosen. What the slot holds beyond them is forgotten.
Engine::Impl::Sampled Engine::Impl::sample_rows(const UnitPtr& unit, int first_row, int rows,
                                                const Drafts::Draft& draft) {
  Sequence& sequence = unit->sequence;
  Sampled sampled = {unit, std::nullopt};
  int used = 0;
  bool more = true;
  while (more) {
    sampled = sample(unit, backend_->logits(first_row + used));
    ++used;
    const auto next = static_cast<std::size_t>(used);
    more = sampled.ended && !*sampled.ended && used < rows && next <= draft.tokens.size() &&
           sequence.output.back() == draft.tokens[next - 1];
  }
  sequence.position += used;
  if (used < rows) backend_->truncate(sequence.slot, sequence.position);
  const int drafted = sequence.drafted_tokens;
  const int accepted = sequence.accepted_tokens;
  drafts_.note(sequence, draft, rows);
  totals_.drafted_tokens += static_cast<std::uint64_t>(sequence.drafted_tokens - drafted);
  totals_.accepted_tokens += static_cast<std::uint64_t>(sequence.accepted_tokens - accepted);
  return sampled;
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
      .room_tokens = sequence.room_tokens,
      .constrained = sequence.grammar.has_value(),
  };
  if (const auto plan = plan_retry(attempt)) return retry(unit, *plan);
  const bool finished = attempt.outcome == AttemptState::Outcome::parsed && reason == FinishReason::stop;
  if (finished && unit->answer_key) answers_.insert(*unit->answer_key, text);
  if (reason == FinishReason::stop) drafts_.remember(sequence);
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

std::string Engine::Impl::text_of(std::span<const Token> tokens) const {
  std::string text;
  for (const Token token : tokens) text += backend_->vocabulary().piece(token);
  return text;
}

}  // namespace escribano::engine
