#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "cli/settings.h"
#include "domain/intelligence_service.h"

namespace CLI {
class App;
}

namespace escribano::cli {

// What the commands that look at images have in common.
struct VlmArguments {
  std::string backend;  // empty: from the settings
  std::string url;
  std::string model;
  std::string socket;
  bool in_process = false;
  bool verbose = false;
  // Of our own engine only.
  std::string projector;
  int max_image_tokens = 0;
  int threads = 0;
  bool no_drafts = false;
  // In this process only.
  std::uint32_t seed = 0;
  bool unconstrained = false;
};
void add_vlm_options(CLI::App& command, VlmArguments& arguments);
// What was given on the command line goes over the settings. Fails with invalid_argument where options exclude each other.
Status apply(const VlmArguments& arguments, Settings& settings);

// What a service will be asked for, as far as it is known.
struct VlmUse {
  DescribeOptions options;
  std::size_t frames = 1;
};
// What a model server is asked to use: the name that was chosen, else what such a server has (or calls anything).
std::string server_model(BackendKind kind, const Setting<std::string>& model);

// A service and what the model behind it is called; empty where that is known to a running bridge alone.
struct ChosenService {
  std::unique_ptr<IntelligenceService> service;
  std::string model;
};

// The service that describes images, as chosen by arguments and settings. Nothing is started before its first call,
// but with --in-process, which loads the model here.
Result<ChosenService> make_vlm_service(const VlmArguments& arguments, const VlmUse& use, const Settings& settings,
                                       const Environment& environment);

// Where to find a server: what the command line says, or the settings' own address for its kind.
std::string server_url(BackendKind kind, const Setting<std::string>& given, const Settings& settings);

// What the commands that write texts have in common.
struct LlmArguments {
  std::string backend;  // empty: from the settings
  std::string url;
  std::string model;
};
void add_llm_options(CLI::App& command, LlmArguments& arguments);
Status apply(const LlmArguments& arguments, Settings& settings);

// The service that generates text, as chosen by the settings; a bridge in llm mode where it is our own engine, with `threads`
// compute threads (0: one for each processor). None where the settings say none. Nothing is started before its first call.
Result<ChosenService> make_llm_service(const Settings& settings, const Environment& environment, int threads = 0);

}  // namespace escribano::cli
