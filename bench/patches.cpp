// What recomputing only the patches that changed costs and changes: pictures go through the vision tower one after the
// other, each of them whole and in part in turn, and the features are compared. Differences are relative to the
// root mean square of all features of the recording.
//
//   build/release/bin/patches_bench FRAME... [--most-changed 0.5] [--in-a-row 16]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "cli/model_setup.h"
#include "cli/openmp_wait.h"
#include "engine/llama/llama_backend.h"
#include "image/resize.h"

namespace {

using escribano::Image;
using escribano::Result;
using escribano::Status;
namespace cli = escribano::cli;
namespace engine = escribano::engine;

struct Arguments {
  std::vector<std::string> images;
  std::string model = "demo";
  std::string projector;
  int threads = 0;
  engine::PatchRule rule;
  bool each = false;
};

// A vision tower and what it took for all pictures.
struct Way {
  std::unique_ptr<engine::Backend> backend;
  double seconds = 0;
  std::uint64_t computed = 0;

  Result<engine::ImageEmbedding> encode(const Image& image) {
    ESCRIBANO_TRY(const auto prepared, backend->prepare(image));
    const auto begin = std::chrono::steady_clock::now();
    ESCRIBANO_TRY(engine::ImageEmbedding embedding, backend->encode(*prepared));
    last_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    seconds += last_s;
    computed += static_cast<std::uint64_t>(embedding.tokens - embedding.reused_tokens);
    return embedding;
  }
  double last_s = 0;
};

struct Difference {
  double squares = 0;
  double reference_squares = 0;
  double worst = 0;
  double largest = 0;  // of the features

  void add(const engine::ImageEmbedding& whole, const engine::ImageEmbedding& part) {
    for (std::size_t i = 0; i < whole.values.size(); ++i) {
      const double d = std::abs(static_cast<double>(whole.values[i]) - part.values[i]);
      squares += d * d;
      reference_squares += static_cast<double>(whole.values[i]) * whole.values[i];
      worst = std::max(worst, d);
      largest = std::max(largest, std::abs(static_cast<double>(whole.values[i])));
    }
  }
};

Status run(const Arguments& arguments) {
  ESCRIBANO_TRY(cli::Settings settings, cli::Settings::read(cli::process_environment()));
  settings.vlm_model.set(arguments.model, "--model");
  ESCRIBANO_TRY(const cli::ChosenModel model,
                cli::choose_model(settings, cli::process_environment(), arguments.projector));
  const escribano::ModelInfo& info = model.info;
  const escribano::PixelRule rule = {.patch_size_px = static_cast<int>(info.patch_size),
                                     .merge_size = static_cast<int>(info.merge_size),
                                     .min_pixels = info.min_pixels.value_or(escribano::PixelRule{}.min_pixels),
                                     .max_pixels = info.max_pixels.value_or(escribano::PixelRule{}.max_pixels)};
  const int side = rule.patch_size_px * rule.merge_size;
  engine::LlamaOptions options = {.model = model.files.model, .projector = model.files.projector};
  options.slots = 1;
  options.context_tokens = 256;
  options.threads = arguments.threads;
  options.max_image_tokens = static_cast<int>(rule.max_pixels / (side * side));
  Way whole;
  Way part;
  ESCRIBANO_TRY(whole.backend, engine::load_llama_backend(options));
  options.patches = arguments.rule;
  ESCRIBANO_TRY(part.backend, engine::load_llama_backend(options));

  Difference all;
  std::uint64_t tokens = 0;
  for (const std::string& path : arguments.images) {
    ESCRIBANO_TRY(Image image, escribano::load_image(path, {}));
    ESCRIBANO_TRY(const escribano::Size size, escribano::model_image_size(image.size(), rule));
    if (size != image.size()) image = escribano::resize_bicubic(image, size);
    ESCRIBANO_TRY(const engine::ImageEmbedding a, whole.encode(image));
    ESCRIBANO_TRY(const engine::ImageEmbedding b, part.encode(image));
    tokens += static_cast<std::uint64_t>(a.tokens);
    Difference here;
    here.add(a, b);
    all.add(a, b);
    if (!arguments.each) continue;
    fmt::print("{} {}/{} tokens, {:.1f} ms whole, {:.1f} ms, difference {:.4f}, worst {:.3f}\n", path,
               b.tokens - b.reused_tokens, b.tokens, whole.last_s * 1000, part.last_s * 1000,
               std::sqrt(here.squares / here.reference_squares), here.worst);
  }
  const auto count = static_cast<double>(arguments.images.size());
  fmt::print(
      "{:.1f} % of the tokens computed; {:.1f} ms a picture whole, {:.1f} ms in part; difference {:.4f}, worst "
      "{:.3f} of {:.3f}\n",
      100.0 * static_cast<double>(part.computed) / static_cast<double>(tokens), whole.seconds * 1000 / count,
      part.seconds * 1000 / count, std::sqrt(all.squares / all.reference_squares), all.worst, all.largest);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  cli::sleep_at_barriers(argv);
  CLI::App app("The vision tower on whole pictures and on what changed");
  Arguments arguments;
  app.add_option("IMAGE", arguments.images, "Consecutive frames")->required();
  app.add_option("--model", arguments.model)->capture_default_str();
  app.add_option("--mmproj", arguments.projector, "The projector of a .gguf model, if not beside it");
  app.add_option("--threads", arguments.threads)->check(CLI::Range(1, 1024));
  app.add_option("--most-changed", arguments.rule.most_changed)->check(CLI::Range(0.0, 1.0))->capture_default_str();
  app.add_option("--in-a-row", arguments.rule.most_in_a_row)->check(CLI::Range(1, 1000000))->capture_default_str();
  app.add_flag("--each", arguments.each, "A line for every picture");
  CLI11_PARSE(app, argc, argv);
  if (const Status status = run(arguments); !status) {
    fmt::print(stderr, "patches_bench: {}\n", status.error().message);
    return 1;
  }
  return 0;
}
