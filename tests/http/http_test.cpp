// The HTTP client on its own: what it says about addresses, and how exchanges end.
#include "http/http.h"

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/server_process.h"

namespace escribano {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr seconds kPatience{60};

TEST(HttpUrl, CredentialsAndQueriesAreNotShown) {
  const HttpUrl url = parse_http_url("https://anna:secret@models.example:8443/api?key=secret#secret").value();
  EXPECT_EQ(url.shown, "https://models.example:8443/api");
  EXPECT_THAT(url.text, HasSubstr("anna:secret"));
  EXPECT_FALSE(url.loopback);
}

TEST(HttpUrl, ThisMachineIsKnownByAllItsNames) {
  for (const char* text : {"http://127.0.0.1:1", "http://localhost/", "http://LOCALHOST:8080", "http://[::1]:8080/v1",
                           "http://127.8.9.1", "http://vlm.localhost"}) {
    EXPECT_TRUE(parse_http_url(text).value().loopback) << text;
  }
  for (const char* text : {"http://10.0.0.1", "http://localhost.example", "http://[::2]", "http://x127.0.0.1"}) {
    EXPECT_FALSE(parse_http_url(text).value().loopback) << text;
  }
}

TEST(HttpUrl, OtherThingsThanHttpAreRefusedWithoutRepeatingThem) {
  for (const char* text :
       {"", "models", "ftp://anna:secret@host/", "file:///etc/passwd", "http://", "http://a b:secret@"}) {
    const auto url = parse_http_url(text);
    ASSERT_FALSE(url) << text;
    EXPECT_EQ(url.error().code, Errc::invalid_argument);
    EXPECT_THAT(url.error().message, Not(HasSubstr("secret")));
  }
}

TEST(HttpOptionsTest, EveryProblemIsNamed) {
  EXPECT_TRUE(HttpOptions().validate().empty());
  EXPECT_EQ((HttpOptions{.connect_timeout = {}, .stall_timeout = {}, .max_response_bytes = 0}.validate().size()), 3U);
}

class Http : public ::testing::Test {
 protected:
  static HttpSession session(const HttpOptions& options = {}) { return HttpSession::open(options).value(); }
  static HttpOutcome only(HttpSession& session, HttpRequest request) {
    EXPECT_TRUE(session.start(7, std::move(request)));
    auto finished = session.next({}, Clock::now() + kPatience).value();
    EXPECT_TRUE(finished);
    EXPECT_EQ(finished->id, 7U);
    return finished->outcome;
  }
  HttpRequest chat(const std::string& model) const {
    const nlohmann::json body = {{"model", model},
                                 {"messages", {{{"role", "user"}, {"content", "Hello"}}}},
                                 {"stream", true},
                                 {"options", {{"temperature", 0}, {"num_predict", 10}, {"num_ctx", 2048}}}};
    return {.url = server_.url() + "/api/chat", .body = body.dump()};
  }

  ServerProcess server_{{"python3", ESCRIBANO_SOURCE_DIR "/tests/intelligence/fixtures/model_server.py"},
                        "listening on "};
};

TEST_F(Http, AnAnswerHasStatusTypeAndBody) {
  HttpSession http = session();
  const HttpOutcome got = only(http, {.url = server_.url() + "/log"});
  EXPECT_FALSE(got.error);
  EXPECT_EQ(got.status, 200);
  EXPECT_EQ(got.content_type, "application/json");
  EXPECT_THAT(got.body, HasSubstr("most_at_once"));
  const HttpOutcome refused = only(http, chat("no such model"));
  EXPECT_EQ(refused.status, 404);
  EXPECT_THAT(refused.body, HasSubstr("not found"));
  EXPECT_TRUE(refused.answered);
}

TEST_F(Http, AStreamArrivesInPiecesAndRefusalsAreNoPartOfIt) {
  HttpSession http = session();
  std::size_t pieces = 0;
  HttpRequest request = chat("slow");
  request.on_data = [&](std::string_view) {
    ++pieces;
    return Status();
  };
  const HttpOutcome got = only(http, std::move(request));
  EXPECT_FALSE(got.error);
  EXPECT_GE(pieces, 2U);
  EXPECT_EQ(got.body, "");
  request = chat("busy");
  request.on_data = [](std::string_view) -> Status { return fail(Errc::internal, "not to be called"); };
  EXPECT_THAT(only(http, std::move(request)).body, HasSubstr("broke"));
}

TEST_F(Http, WhoeverReadsAnAnswerCanEndIt) {
  HttpSession http = session();
  HttpRequest request = chat("huge");
  request.on_data = [](std::string_view) -> Status { return fail(Errc::protocol_error, "enough"); };
  const HttpOutcome got = only(http, std::move(request));
  ASSERT_TRUE(got.error);
  EXPECT_EQ(*got.error, (Error{Errc::protocol_error, "enough"}));
  EXPECT_TRUE(got.answered);
  EXPECT_FALSE(got.transient);
}

TEST_F(Http, AnAnswerBeyondTheLimitIsCutOff) {
  HttpSession http = session({.max_response_bytes = 1 << 20});
  const HttpOutcome got = only(http, chat("huge"));
  ASSERT_TRUE(got.error);
  EXPECT_EQ(got.error->code, Errc::backend_error);
  EXPECT_THAT(got.error->message, HasSubstr("larger than 1048576 bytes"));
  EXPECT_LE(got.body.size(), 1U << 20);
}

TEST_F(Http, RedirectsAreAnswersLikeOthers) {
  HttpSession http = session();
  const HttpOutcome got = only(http, chat("elsewhere"));
  EXPECT_FALSE(got.error);
  EXPECT_EQ(got.status, 307);
}

TEST_F(Http, ASilentServerHasStalled) {
  HttpSession http = session({.stall_timeout = milliseconds(100)});
  const HttpOutcome silent = only(http, chat("silent"));
  ASSERT_TRUE(silent.error);
  EXPECT_EQ(silent.error->code, Errc::backend_error);
  EXPECT_THAT(silent.error->message, HasSubstr(server_.url() + "/api/chat: nothing was heard"));
  EXPECT_FALSE(silent.answered);
  EXPECT_TRUE(silent.transient);
  EXPECT_TRUE(only(http, chat("stall")).answered);
}

TEST_F(Http, AnExchangeThatMovesOnIsNotStalled) {
  HttpSession http = session({.stall_timeout = milliseconds(1500)});
  HttpRequest request = chat("slow");
  EXPECT_FALSE(only(http, std::move(request)).error);
}

TEST_F(Http, WhoeverIsNotThereIsUnreachable) {
  const ClosedPort closed;
  HttpSession http = session();
  const HttpOutcome refused = only(http, {.url = closed.url() + "/?secret"});
  ASSERT_TRUE(refused.error);
  EXPECT_EQ(refused.error->code, Errc::backend_error);
  EXPECT_THAT(refused.error->message, HasSubstr(closed.url()));
  EXPECT_THAT(refused.error->message, Not(HasSubstr("secret")));
  EXPECT_TRUE(refused.transient);
  EXPECT_FALSE(refused.answered);
  const HttpOutcome cut = only(http, chat("reset"));
  EXPECT_TRUE(cut.transient);
  EXPECT_FALSE(cut.answered);
  const HttpOutcome midway = only(http, chat("midway"));
  EXPECT_TRUE(midway.error);
  EXPECT_TRUE(midway.answered);
}

TEST_F(Http, SeveralExchangesRunAtOnce) {
  HttpSession http = session();
  for (std::size_t id = 0; id < 4; ++id) EXPECT_TRUE(http.start(id, chat("slow")));
  EXPECT_EQ(http.in_flight(), 4U);
  std::vector<std::size_t> ended;
  while (http.in_flight() > 0) ended.push_back(http.next({}, Clock::now() + kPatience).value()->id);
  EXPECT_THAT(ended, ::testing::UnorderedElementsAre(0, 1, 2, 3));
  EXPECT_GE(nlohmann::json::parse(only(http, {.url = server_.url() + "/log"}).body).at("most_at_once"), 2);
}

TEST_F(Http, WaitingEndsWithTheTimeAndTheExchangeGoesOn) {
  HttpSession http = session();
  EXPECT_TRUE(http.start(1, chat("slow")));
  EXPECT_EQ(http.next({}, Clock::now()).value().has_value(), false);
  EXPECT_EQ(http.in_flight(), 1U);
  EXPECT_TRUE(http.next({}, Clock::now() + kPatience).value().has_value());
}

TEST_F(Http, AStopFromAnotherThreadWakesTheWaitingOne) {
  HttpSession http = session();
  EXPECT_TRUE(http.start(1, chat("silent")));
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  const auto began = Clock::now();
  const auto got = http.next(stop.get_token(), Clock::now() + kPatience);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Errc::cancelled);
  EXPECT_LT(Clock::now() - began, seconds(5));
}

TEST_F(Http, AProxyOfTheEnvironmentIsNotAskedForThisMachine) {
  const ClosedPort closed;
  ::setenv("http_proxy", closed.url().c_str(), 1);
  ::setenv("all_proxy", closed.url().c_str(), 1);
  HttpSession http = session();
  EXPECT_EQ(only(http, {.url = server_.url() + "/log"}).status, 200);
  const HttpOutcome other = only(http, {.url = "http://models.invalid/"});
  ::unsetenv("http_proxy");
  ::unsetenv("all_proxy");
  EXPECT_TRUE(other.error);
  EXPECT_TRUE(other.transient);
}

TEST_F(Http, DroppingASessionLeavesNothingOpen) {
  only(*std::make_unique<HttpSession>(session()), chat("good"));
  const int before = open_descriptors();
  {
    HttpSession http = session();
    for (std::size_t id = 0; id < 4; ++id) EXPECT_TRUE(http.start(id, chat("stall")));
    EXPECT_FALSE(http.next({}, Clock::now() + milliseconds(50)).value());
    EXPECT_GT(open_descriptors(), before);
  }
  EXPECT_EQ(open_descriptors(), before);
}

}  // namespace
}  // namespace escribano
