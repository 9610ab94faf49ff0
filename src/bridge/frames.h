#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "domain/frame_result.h"
#include "engine/engine.h"
#include "protocol/answer.h"
#include "protocol/request.h"

namespace escribano::bridge {

// Where requests leave something open.
struct RequestDefaults {
  int batch_size = 4;          // ESCRIBANO_VLM_BATCH_SIZE
  int max_tokens = 2000;       // of a batch: ESCRIBANO_VLM_MAX_TOKENS
  int text_max_tokens = 8000;  // of a text without pictures
};

// The request as the engine takes it. In the parallel strategy a frame has its part of the batch's budget.
engine::DescribeRequest to_engine(const protocol::DescribeImages& request, const RequestDefaults& defaults);
engine::GenerateRequest to_engine(const protocol::Infer& request, const RequestDefaults& defaults);
engine::GenerateRequest to_engine(const protocol::PromptContent& content);

// What the engine made of `frame`, as everyone outside of it sees it.
FrameResult to_domain(const engine::FrameResult& result, const Frame& frame);

protocol::TextAnswer to_answer(const engine::GenerateResult& result, double peak_memory_gb);

// Gathers the results of one request, which come in order, into batches.
class BatchCollector {
 public:
  BatchCollector(std::size_t total, int batch_size)
      : total_(total), batch_size_(static_cast<std::size_t>(batch_size)) {}

  // The batch that `result` completes, if it does.
  std::optional<protocol::BatchAnswer> add(FrameResult result);
  // What has come of a batch that will never be complete, if anything; marked as partial.
  std::optional<protocol::BatchAnswer> rest();

 private:
  protocol::BatchAnswer take();

  std::size_t total_;
  std::size_t batch_size_;
  std::size_t done_ = 0;
  std::uint64_t batch_ = 0;
  std::vector<FrameResult> waiting_;
};

}  // namespace escribano::bridge
