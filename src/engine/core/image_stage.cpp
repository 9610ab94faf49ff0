#include "engine/core/image_stage.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "engine/core/job.h"

namespace escribano::engine {

ImageStage::ImageStage(const Backend& backend, const EngineOptions& options, EmbeddingCache& embeddings,
                       std::function<void(std::shared_ptr<Unit>)> on_loaded)
    : backend_(&backend),
      pixel_rule_(options.pixel_rule),
      limits_(options.image_limits),
      embeddings_(&embeddings),
      on_loaded_(std::move(on_loaded)) {
  for (int i = 0; i < options.image_workers; ++i) {
    workers_.emplace_back([this](const std::stop_token& stop) { work(stop); });
  }
}

ImageStage::~ImageStage() {
  for (std::jthread& worker : workers_) worker.request_stop();
}

void ImageStage::start(const std::shared_ptr<Unit>& unit) {
  const std::lock_guard lock(mutex_);
  // A unit without images needs a prompt all the same.
  for (std::size_t i = 0; i < std::max<std::size_t>(1, unit->images.size()); ++i) queue_.push_back({unit, i});
  work_arrived_.notify_all();
}

void ImageStage::work(const std::stop_token& stop) {
  while (true) {
    Item item;
    {
      std::unique_lock lock(mutex_);
      if (!work_arrived_.wait(lock, stop, [&] { return !queue_.empty(); })) return;
      if (stop.stop_requested()) return;
      item = std::move(queue_.front());
      queue_.pop_front();
    }
    if (!item.unit->images.empty()) {
      load(*item.unit, item.unit->images[item.image]);
      if (item.unit->images_loading.fetch_sub(1) != 1) continue;
    }
    build_prompt(*item.unit);
    on_loaded_(std::move(item.unit));
  }
}

void ImageStage::load(Unit& unit, LoadedImage& image) const {
  if (unit.job->cancelled()) {
    image.error = Error{Errc::cancelled, "cancelled"};
    return;
  }
  const auto begin = std::chrono::steady_clock::now();
  if (const Status status = load_pixels(unit.job->frame(image.frame), unit.job->reuse(), image); !status) {
    image.error = status.error();
  }
  image.load_ms = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

Status ImageStage::load_pixels(const FrameInput& frame, bool reuse, LoadedImage& image) const {
  std::shared_ptr<const Image> pixels = frame.image;
  if (!pixels) {
    ESCRIBANO_TRY(Image loaded, load_image(frame.path, limits_));
    pixels = std::make_shared<const Image>(std::move(loaded));
  }
  ESCRIBANO_TRY(image.size, model_image_size(pixels->size(), pixel_rule_));
  if (image.size != pixels->size()) {
    pixels = std::make_shared<const Image>(resize_bicubic(*pixels, image.size));
  }
  image.hash = hash_image(*pixels);
  if (reuse) image.embedding = embeddings_->load(image.hash);
  if (image.embedding) return {};
  ESCRIBANO_TRY(image.prepared, backend_->prepare(*pixels));
  return {};
}

void ImageStage::build_prompt(Unit& unit) const {
  for (std::size_t i = 0; i < unit.images.size(); ++i) {
    if (!unit.images[i].error) unit.members.push_back(i);
  }
  if ((unit.members.empty() && !unit.images.empty()) || unit.job->cancelled()) return;
  if (Result<Prompt> prompt = unit.job->prompt(*backend_, unit)) {
    unit.prompt = *std::move(prompt);
  } else {
    unit.prompt_error = std::move(prompt).error();
  }
}

}  // namespace escribano::engine
