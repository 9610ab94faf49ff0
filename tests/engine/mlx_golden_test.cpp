// What quantisation by MLX costs the demo model, against the golden texts and the truth of the sample recording.
#include <algorithm>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "engine/llama/llama_backend.h"
#include "format/parser.h"
#include "models/import.h"
#include "support/demo_model.h"
#include "support/mlx_folder.h"
#include "support/temp_folder.h"

namespace escribano::engine {
namespace {

using Json = nlohmann::json;

const std::filesystem::path kSource = ESCRIBANO_SOURCE_DIR;

Json read_json(const std::filesystem::path& path) { return Json::parse(read_text_file(path, 16 << 20).value()); }

// The demo model, quantised as MLX does it and imported.
class QuantisedDemo {
 public:
  explicit QuantisedDemo(MlxFormat format) {
    write_mlx_folder(kSource / "assets" / "demo-model", temp_.path() / "mlx", format);
    const ModelFiles files = import_folder(temp_.path() / "mlx", temp_.path() / "cache").value();
    LlamaOptions options;
    options.model = files.model;
    options.projector = files.projector;
    options.slots = 4;
    options.context_tokens = 2048;
    options.threads = 1;
    options.max_image_tokens = 256;
    auto backend = load_llama_backend(options).value();
    backend_ = backend.get();
    engine_ = Engine::start(std::move(backend), {.pixel_rule = demo_pixel_rule(), .max_frames_per_prompt = 6}).value();
  }

  const Backend& backend() const { return *backend_; }
  std::vector<FrameResult> describe(const std::vector<std::filesystem::path>& frames) {
    DescribeRequest request;
    for (const auto& frame : frames) request.frames.push_back({.path = frame});
    return escribano::describe(*engine_, std::move(request));
  }

 private:
  TempFolder temp_;
  std::unique_ptr<Engine> engine_;
  const Backend* backend_ = nullptr;  // owned by engine_
};

TEST(MlxGolden, EightBitsKeep31Of32Tokens) {
  QuantisedDemo demo({.bits = 8, .group_size = 64});
  const Json golden = read_json(kSource / "tests" / "golden" / "golden.json");
  std::vector<std::filesystem::path> frames;
  std::vector<std::vector<Token>> expected;
  for (const Json& json : golden.at("cases")) {
    if (json.at("images").size() > 1) continue;
    frames.push_back(kSource / "tests" / "golden" / json.at("images").at(0).get<std::string>());
    expected.push_back(json.at("answer_ids").get<std::vector<Token>>());
  }
  ASSERT_EQ(frames.size(), 12u);
  const std::vector<FrameResult> results = demo.describe(frames);
  for (std::size_t i = 0; i < results.size(); ++i) {
    const std::vector<Token> found = demo.backend().tokenize(results[i].raw, false).value();
    constexpr std::size_t kTokens = 32;
    ASSERT_GE(std::min(found.size(), expected[i].size()), kTokens);
    std::size_t equal = 0;
    for (std::size_t at = 0; at < kTokens; ++at) equal += found[at] == expected[i][at] ? 1 : 0;
    EXPECT_GE(equal, 31u) << frames[i] << "\n" << results[i].raw;
  }
}

// Applications and activity of the frames whose truth is known: the golden ones, and stills of the sample recording.
TEST(MlxGolden, FourBitsKeepApplicationsAndActivities) {
  std::vector<std::filesystem::path> frames;
  std::vector<Description> expected;
  const Json golden = read_json(kSource / "tests" / "golden" / "golden.json");
  for (const Json& json : golden.at("cases")) {
    if (json.at("images").size() > 1) continue;
    frames.push_back(kSource / "tests" / "golden" / json.at("images").at(0).get<std::string>());
    expected.push_back(parse_description(json.at("truth").at(0).get<std::string>()).value());
  }
  const Json truth = read_json(kSource / "assets" / "samples" / "session-a.truth.json");
  for (const auto& entry : std::filesystem::directory_iterator(kSource / "assets" / "samples" / "frames")) {
    const double at_s = std::stod(entry.path().stem().string().substr(std::string_view("session-a-").size()));
    for (const Json& span : truth.at("spans")) {
      if (at_s < span.at("start").get<double>() || at_s >= span.at("end").get<double>()) continue;
      frames.push_back(entry.path());
      expected.push_back({.activity = span.at("activity"), .apps = span.at("apps")});
    }
  }
  ASSERT_EQ(frames.size(), 20u);
  QuantisedDemo demo({.bits = 4, .group_size = 64});
  const std::vector<FrameResult> results = demo.describe(frames);
  std::size_t right = 0;
  for (std::size_t i = 0; i < results.size(); ++i) {
    const Description& found = results[i].description;
    right += found.apps == expected[i].apps && found.activity == expected[i].activity ? 1 : 0;
  }
  EXPECT_GE(right, 19u) << "95 % of 20";
  RecordProperty("right", static_cast<int>(right));
}

}  // namespace
}  // namespace escribano::engine
