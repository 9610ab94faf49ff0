#include "engine/llama/kept_picture.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include <ggml.h>

namespace escribano::engine {

void begin_patches(ggml_tensor* embedded, PatchWork& work) {
  work.patches = embedded->ne[1];
  if (work.changed.empty()) return;
  const std::int64_t of_a_token = work.patches / work.tokens;
  for (const std::int32_t token : work.changed) {
    for (std::int64_t i = 0; i < of_a_token; ++i) {
      work.rows.push_back(static_cast<std::int32_t>(token * of_a_token + i));
    }
  }
  auto* const data = static_cast<std::byte*>(embedded->data);
  for (std::size_t i = 0; i < work.rows.size(); ++i) {  // ascending: no row is overwritten before it was read
    std::memmove(data + i * embedded->nb[1], data + static_cast<std::size_t>(work.rows[i]) * embedded->nb[1],
                 embedded->nb[1]);
  }
  work.compact = true;
}

Result<ImageEmbedding> KeptPicture::encode(ImageEmbedding embedding, std::span<const std::uint64_t> blocks,
                                           const Compute& compute) {
  std::optional<std::vector<std::int32_t>> changed;
  if (usable_ && embedding.columns == embedding_.columns && embedding.rows == embedding_.rows) {
    changed = changed_tokens(blocks_, blocks, in_a_row_, rule_);
  }
  usable_ = false;  // until it has come to a good end
  ESCRIBANO_TRY(ImageEmbedding made,
                changed ? encode_part(*changed, compute) : encode_whole(std::move(embedding), compute));
  blocks_.assign(blocks.begin(), blocks.end());
  return made;
}

Result<ImageEmbedding> KeptPicture::encode_whole(ImageEmbedding embedding, const Compute& compute) {
  PatchWork work = {.layers = &layers_, .tokens = embedding.tokens};
  ESCRIBANO_TRY(const float* values, compute(&work));
  const auto count = static_cast<std::size_t>(embedding.tokens) * static_cast<std::size_t>(embedding.width);
  embedding.values.assign(values, values + count);
  embedding_ = embedding;
  in_a_row_ = 0;
  usable_ = work.patches > 0 && work.attended > 0 && work.attended == work.layers_done;
  return embedding;
}

Result<ImageEmbedding> KeptPicture::encode_part(std::span<const std::int32_t> changed, const Compute& compute) {
  embedding_.reused_tokens = embedding_.tokens - static_cast<int>(changed.size());
  if (!changed.empty()) {
    PatchWork work = {.layers = &layers_, .tokens = embedding_.tokens};
    work.changed.assign(changed.begin(), changed.end());
    ESCRIBANO_TRY(const float* values, compute(&work));
    const auto width = static_cast<std::size_t>(embedding_.width);
    for (std::size_t i = 0; i < changed.size(); ++i) {
      std::copy_n(
          values + i * width, width,
          embedding_.values.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(changed[i]) * width));
    }
    embedding_.exact = embedding_.reused_tokens == 0;
    ++in_a_row_;
  }
  usable_ = true;
  return embedding_;
}

}  // namespace escribano::engine
