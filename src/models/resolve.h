#pragma once

// From what a user calls a model to the files it consists of.

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "models/import.h"
#include "models/model_files.h"

namespace escribano {

// Where to look. The library never reads the environment: the caller passes what it found there. Empty paths are
// skipped.
struct ResolveOptions {
  std::filesystem::path home;         // $ESCRIBANO_HOME: hub models under models/ORG/NAME, imports under cache/
  std::filesystem::path hf_hub;       // the Hugging Face cache: $HF_HUB_CACHE, $HF_HOME/hub or ~/.cache/huggingface/hub
  std::filesystem::path demo_folder;  // what the name "demo" stands for
  std::filesystem::path projector;    // projector given by the user; empty: looked for beside the model
  std::filesystem::path import_root;  // where imported folders go; empty: home/cache
  ImportOptions import;               // its name is replaced by the model's
  ImportProgressCallback progress;    // of an import, should one be needed
};

// Whether `name` has the form "org/name" of the Hugging Face hub: one slash, and nothing in it that leads out of a folder it is
// appended to. Pure.
bool is_hub_name(std::string_view name);
// The folder that resolve_model looks into for a repository of the Hugging Face cache; nullopt where there is none.
std::optional<std::filesystem::path> hub_cache_snapshot(const std::filesystem::path& hf_hub, const std::string& name);

// `name` is, in this order:
//   "demo"                    the demo model;
//   a path to a .gguf file    the language model; its projector lies beside it (a .gguf with "mmproj" in its name);
//   a path to a folder        with a GGUF pair, or in Hugging Face's layout, which is imported on first use; behind a
//                             colon, which of several quantisations: folder:Q4_K_M;
//   "org/name"                a folder home/models/org/name, else the repository in the Hugging Face cache: the
//                             snapshot that refs/main names, else the newest; with a quantisation as a folder.
// A projector without "mmproj" in its name is known by its metadata where no other file is called one.
// A path wins over a hub name; write ./org/name or an absolute path to be sure. The projector of the result is empty
// where a GGUF model has none. Nothing is downloaded.
//
// Fails with not_found and the list of places that were looked at, invalid_argument where several files could be meant
// (named) or `name` is empty, unsupported for a file that is no .gguf, and with what import_folder says. Blocks.
Result<ModelFiles> resolve_model(std::string_view name, const ResolveOptions& options);

// The language models among the .gguf files directly in a folder, by name.
Result<std::vector<std::filesystem::path>> list_models(const std::filesystem::path& folder);

// The snapshot folder of a repository in the Hugging Face cache: the one refs/main names, else the newest.
std::optional<std::filesystem::path> hub_snapshot(const std::filesystem::path& repository);

// "Q4_K_M", "F16": what the name of a GGUF file says about the precision of its weights; empty if nothing. Pure.
std::string quantisation_label(const std::filesystem::path& model);

}  // namespace escribano
