#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "domain/intelligence_service.h"
#include "intelligence/chat_service.h"

namespace escribano {

struct OpenAiOptions {
  // The address with or without /v1. Such servers batch what they are asked at once. llama-server takes any model name.
  ServerOptions server{.url = "http://127.0.0.1:8080", .model = "default", .parallel = 4};
  std::string api_key;  // sent as a bearer token; never logged, and taken out of what the server says

  std::vector<std::string> validate() const;
};

// The models of a server that speaks /v1/chat/completions: llama-server, vLLM, SGLang, LM Studio, and others. Answers are
// streamed. A thinking model is told whether to think by chat_template_kwargs.enable_thinking; a server that refuses that
// (HTTP 400 or 422) is asked again without it, and from then on no more.
//
// Fails with invalid_argument (the options). Does not connect: calls fail with backend_error where there is no server, no
// such model, or no permission; a frame with backend_error or protocol_error where the server fails for it alone.
Result<std::unique_ptr<IntelligenceService>> make_openai_service(OpenAiOptions options);

// The address with the version of the interface at its end, as in /v1, and no slash behind it. Pure.
std::string openai_base_url(std::string url);

}  // namespace escribano
