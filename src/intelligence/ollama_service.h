#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "domain/intelligence_service.h"
#include "intelligence/chat_service.h"

namespace escribano {

struct OllamaOptions {
  // One request at once: Ollama runs vision models sequentially, and what waits there would count as stalled.
  ServerOptions server{.url = "http://127.0.0.1:11434"};
  // Context to ask for, in tokens. 0: what prompt and budget need, rounded up to a power of two (a change of it makes
  // Ollama load the model again, so it only ever grows), at most max_num_ctx.
  int num_ctx = 0;
  int max_num_ctx = 32768;
  int image_tokens = 3072;  // what a picture is taken to need at most: one of 2048x1536 does with Qwen3-VL
  std::string
      keep_alive;  // how long the model stays loaded after a call, as Ollama writes it (10m, -1s). Empty: its default

  std::vector<std::string> validate() const;
};

// The models of an Ollama server, over /api/chat. In the interleaved strategy each labelled frame is a turn of its own,
// and the prompt the last one: within a turn Ollama moves pictures to the front.
//
// Fails with invalid_argument (the options). Does not connect: calls fail with backend_error where there is no server, no
// such model, or no permission; a frame with backend_error or protocol_error where the server fails for it alone.
Result<std::unique_ptr<IntelligenceService>> make_ollama_service(OllamaOptions options);

// The context for a prompt of `text_bytes` with `pictures`, and an answer of `max_tokens`. Pure.
int ollama_context(const OllamaOptions& options, std::size_t text_bytes, std::size_t pictures, int max_tokens);

}  // namespace escribano
