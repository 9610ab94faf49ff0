#include "recording/series_thread.h"

#include <optional>
#include <utility>

#include "image/encode_image.h"

namespace escribano::recording {
namespace {

constexpr std::size_t kWaiting = 2;

}  // namespace

SeriesThread::SeriesThread(const SamplingOptions& options, KeptPictures& kept)
    : series_(options), kept_(kept), queue_(kWaiting), thread_([this] { run(); }) {}

SeriesThread::~SeriesThread() {
  queue_.close();
  if (thread_.joinable()) thread_.join();
}

Status SeriesThread::add(std::int64_t at_ms, SampleReason reason, Image image) {
  if (!queue_.push({at_ms, reason, std::move(image)})) return outcome();
  ++added_;
  return {};
}

Result<std::vector<SampledFrame>> SeriesThread::finish() {
  ESCRIBANO_CHECK(outcome());
  return std::move(series_.frames());
}

// Waits for the end of the thread.
Status SeriesThread::outcome() {
  queue_.close();
  if (thread_.joinable()) thread_.join();
  if (exception_) std::rethrow_exception(exception_);
  return failure_;
}

void SeriesThread::run() {
  try {
    while (std::optional<Item> item = queue_.pop()) {
      failure_ = take(*item);
      if (!failure_) break;
    }
  } catch (...) {
    exception_ = std::current_exception();
  }
  queue_.close();
}

Status SeriesThread::take(const Item& item) {
  ESCRIBANO_CHECK(series_.add(item.at_ms, item.reason, item.image));
  if (series_.frames().back().source || !kept_.has_room()) return {};
  ESCRIBANO_TRY(std::vector<std::byte> png, encode_png(item.image));
  kept_.keep(item.at_ms, std::move(png));
  return {};
}

}  // namespace escribano::recording
