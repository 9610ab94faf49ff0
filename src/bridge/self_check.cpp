#include "bridge/self_check.h"

#include <algorithm>
#include <future>
#include <optional>
#include <utility>

#include "image/resize.h"

namespace escribano::bridge {
namespace {

// About a hundred image tokens and a short answer: a large model on a slow machine has to be done before clients, who
// give up after 30 s, lose patience.
constexpr int kLongSide_px = 416;
constexpr int kAnswerTokens = 24;

}  // namespace

Status self_check(engine::Engine& engine, const Image& picture) {
  const double scale = static_cast<double>(kLongSide_px) / std::max(picture.width_px, picture.height_px);
  const Size size = {std::max(1, static_cast<int>(picture.width_px * scale)),
                     std::max(1, static_cast<int>(picture.height_px * scale))};
  engine::DescribeRequest request;
  request.frames.push_back({.path = {}, .image = std::make_shared<Image>(resize_bicubic(picture, size))});
  request.max_tokens = kAnswerTokens;
  request.reuse = false;  // it is the model that is looked at
  std::optional<Error> failure;
  std::promise<Status> done;
  ESCRIBANO_CHECK(
      engine.submit(std::move(request), {.on_frame = [&](const engine::FrameResult& result) { failure = result.error; },
                                         .on_done = [&](const Status& status) { done.set_value(status); }}));
  ESCRIBANO_CHECK(done.get_future().get());
  if (failure) return fail(*std::move(failure));
  return {};
}

}  // namespace escribano::bridge
