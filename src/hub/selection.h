#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "hub/hub_name.h"
#include "hub/listing.h"

namespace escribano::hub {

// One file that is pulled.
struct PullFile {
  std::string name;  // in the model's folder
  RemoteFile remote;

  friend bool operator==(const PullFile&, const PullFile&) = default;
};

// Which files of a repository make the model, sorted by name. Of safetensors: the weights, their index, configuration,
// preprocessing, tokenizer and chat template, all from the top folder. Of GGUF: the one language model with the label
// `name.quant`, in any case (the only one where no label is given), and a projector, f16 before bf16 before q8_0; these may
// lie in folders of the repository, and come to lie in none. Never anything that is run or unpickled (.py, .bin, .pt).
//
// Fails with invalid_argument, listing what there is with sizes, where the label names none or several; not_found where there
// is no model; unsupported for a split GGUF; protocol_error for names that cannot be those of files, or that only differ in
// case. Pure.
Result<std::vector<PullFile>> select_files(const std::vector<RemoteFile>& files, const HubName& name);

// The label of a GGUF file, as in its name: "Q4_K_M" of "Model-2B-Q4_K_M.gguf"; the stem where there is none. Pure.
std::string quant_label(std::string_view file_name);

}  // namespace escribano::hub
