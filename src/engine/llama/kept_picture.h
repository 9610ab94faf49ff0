#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/error.h"
#include "engine/backend.h"
#include "engine/llama/patch_work.h"
#include "engine/plan/patches.h"

struct ggml_tensor;

namespace escribano::engine {

// To be called when the patches of a picture are embedded, [width, patches]: puts those that `work` wants into the first
// rows.
void begin_patches(ggml_tensor* embedded, PatchWork& work);

// The picture that went through the vision tower last, and what it left there: keys and values of every layer, and its
// embedding. One thread.
class KeptPicture {
 public:
  explicit KeptPicture(const PatchRule& rule) : rule_(rule) {}

  // Runs the vision tower for `work` and gives its output, valid until it runs again.
  using Compute = std::function<Result<const float*>(PatchWork* work)>;

  // `embedding` with its values: those of tokens whose `blocks` are those of the picture kept are taken over from it, if
  // the sizes are equal and the rule allows it. If `compute` fails, nothing is kept.
  Result<ImageEmbedding> encode(ImageEmbedding embedding, std::span<const std::uint64_t> blocks,
                                const Compute& compute);

  // Whether the picture encoded last left all that a part of the next one needs.
  bool usable() const noexcept { return usable_; }
  void forget() { *this = KeptPicture(rule_); }

 private:
  Result<ImageEmbedding> encode_whole(ImageEmbedding embedding, const Compute& compute);
  Result<ImageEmbedding> encode_part(std::span<const std::int32_t> changed, const Compute& compute);

  PatchRule rule_;
  bool usable_ = false;
  int in_a_row_ = 0;  // pictures computed in part since the last whole one
  std::vector<std::uint64_t> blocks_;
  ImageEmbedding embedding_;
  std::vector<KeptLayer> layers_;
};

}  // namespace escribano::engine
