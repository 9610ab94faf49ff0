#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "image/image.h"
#include "models/tiny_model.h"

namespace escribano::models {

// The cases of tests/golden/qwen2_5_vl.json: small Qwen2.5-VL models as transformers saves and computes them.
std::vector<nlohmann::json> qwen25vl_cases();

// The folder of a case, its weights made as in tests/golden/qwen2_5_vl.py. A token for each byte (its number), marks from
// 256 on.
TinyModel tiny_qwen25vl(const nlohmann::json& golden);
// Of the first case.
TinyModel tiny_qwen25vl();

// The same as folders were written before transformers 4.52: the members of text_config among the others.
void write_flat_config(TinyModel& model);
// Names of tensors as transformers has them in memory, and some write them.
void use_long_names(TinyModel& model);

// The picture of a case, at the size the model sees it.
Image qwen25vl_picture(const nlohmann::json& golden);

}  // namespace escribano::models
