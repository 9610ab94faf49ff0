#include "intelligence/server_models.h"

#include <algorithm>
#include <optional>
#include <stop_token>
#include <utility>

#include <nlohmann/json.hpp>

#include "http/http.h"
#include "intelligence/json_fields.h"
#include "intelligence/openai_service.h"

namespace escribano {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

std::string without_slashes(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

// GETs a list of objects under `list` that have each a name under `name`.
Result<ServerModels> list_models(HttpRequest request, const char* list, const char* name,
                                 std::chrono::milliseconds deadline) {
  const Clock::time_point until = Clock::now() + deadline;
  HttpOptions options;
  options.connect_timeout = deadline;
  options.stall_timeout = deadline;
  options.max_response_bytes = 4U << 20;
  ESCRIBANO_TRY(const HttpUrl url, parse_http_url(request.url));
  ESCRIBANO_TRY(HttpSession session, HttpSession::open(options));
  ESCRIBANO_CHECK(session.start(0, std::move(request)));
  ESCRIBANO_TRY(const std::optional<HttpSession::Finished> finished, session.next(std::stop_token(), until));
  if (!finished) {
    return fail(Errc::deadline_exceeded, "{}: no answer within {} s", url.shown,
                static_cast<double>(deadline.count()) / 1000);
  }
  const HttpOutcome& outcome = finished->outcome;
  if (outcome.error) return fail(*outcome.error);
  ServerModels models = {.shown = url.shown, .http_status = outcome.status};
  if (outcome.status != 200) return models;
  const Json body = Json::parse(outcome.body, nullptr, /*allow_exceptions=*/false);
  const Json* entries = field(body, list);
  if (entries == nullptr || !entries->is_array()) {
    return fail(Errc::protocol_error, "{}: the answer is no list of models", url.shown);
  }
  for (const Json& entry : *entries) models.names.emplace_back(text_field(entry, name));
  return models;
}

}  // namespace

bool ServerModels::has(std::string_view name) const {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& known) { return known == name || known == std::string(name) + ":latest"; });
}

Result<ServerModels> list_ollama_models(const std::string& url, std::chrono::milliseconds deadline) {
  const std::string base = without_slashes(url);
  return list_models({.url = base + (base.ends_with("/api") ? "/tags" : "/api/tags")}, "models", "name", deadline);
}

Result<ServerModels> list_openai_models(const std::string& url, const std::string& api_key,
                                        std::chrono::milliseconds deadline) {
  return list_models({.url = openai_base_url(url) + "/models", .bearer_token = api_key}, "data", "id", deadline);
}

}  // namespace escribano
