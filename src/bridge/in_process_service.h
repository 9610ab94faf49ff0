#pragma once

#include <memory>

#include "bridge/frames.h"
#include "domain/intelligence_service.h"
#include "engine/engine.h"

namespace escribano::bridge {

struct InProcessOptions {
  std::uint32_t seed = 0;   // for temperatures above 0
  bool constrained = true;  // let the model write only what the format allows
};

// The port straight on an engine of this process: no socket, and no protection from a model that takes the process down.
class InProcessService final : public IntelligenceService {
 public:
  explicit InProcessService(std::unique_ptr<engine::Engine> engine, InProcessOptions options = {})
      : options_(options), engine_(std::move(engine)) {}

  DescribeOutcome describe_images(std::span<const Frame> images, const DescribeOptions& options,
                                  const OnImageProcessed& on_image_processed) override;
  Result<GeneratedText> generate_text(std::string_view prompt, const GenerateOptions& options) override;

 private:
  const InProcessOptions options_;
  const std::unique_ptr<engine::Engine> engine_;
};

}  // namespace escribano::bridge
