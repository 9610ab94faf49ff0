#pragma once

#include <string>
#include <vector>

namespace escribano::engine {

// What llama.cpp says about itself and this machine.
struct LlamaSystem {
  std::string version;                    // of llama.cpp
  std::string ggml_version;               // of the tensor library below it
  std::string processor;                  // as the processor calls itself
  std::vector<std::string> instructions;  // extensions that the build uses, e.g. "AVX2"
  std::vector<std::string> gpus;          // that the build can use and are there
  int usable_processors = 1;              // that this process may run on
};

// Loads no model. Finding out about GPUs may take a second where the build has a backend for them.
LlamaSystem llama_system();

// Processors that this process may run on.
int usable_processors();

}  // namespace escribano::engine
