// Pulling from a hub that behaves, and from hubs that do not.
#include "hub/pull.h"

#include <atomic>
#include <csignal>
#include <fstream>
#include <memory>
#include <random>
#include <set>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/file.h"
#include "base/file_lock.h"
#include "hub/hub_server.h"
#include "hub/manifest.h"
#include "support/temp_folder.h"

namespace escribano::hub {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Reply = HubServer::Reply;
using Request = HubServer::Request;

constexpr std::uint64_t kSegment = 64U << 10;
const std::string kCommit(40, 'a');
const std::string kNewCommit(40, 'b');

std::string content(std::size_t size, unsigned seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random());
  return bytes;
}

std::vector<HubServer::File> model_files() {
  return {{"config.json", R"({"a":1})", false},
          {"model-00001-of-00002.safetensors", content(500'000, 1)},
          {"model-00002-of-00002.safetensors", content(300'001, 2)},
          {"tokenizer.json", content(2'000, 3), false},
          {"README.md", "read me", false},
          {"modeling.py", "import os", false},
          {"pytorch_model.bin", content(1'000, 4)}};
}

class PullTest : public ::testing::Test {
 protected:
  explicit PullTest(HubServer::Tls tls = HubServer::Tls::on) : server(tls) {
    server.set_files(model_files(), kCommit);
    options.home = folder_.path() / "home";
    options.segment_bytes = kSegment;
    options.connections = 4;
    options.hub.endpoint = server.url();
    options.hub.ca_file = tls == HubServer::Tls::on ? server.certificate() : "";
    options.hub.token = "hf_secret";
    options.hub.retry.first_wait = std::chrono::milliseconds(1);
    options.hub.stall_timeout = std::chrono::seconds(20);
  }

  Result<Pulled> pull_it(const std::string& name = "org/model") {
    return pull(parse_hub_name(name).value(), options, {}, {});
  }
  void pull_well(const std::string& name = "org/model") {
    const auto pulled = pull_it(name);
    ASSERT_TRUE(pulled) << pulled.error().message;
  }
  Error failure(const std::string& name = "org/model") {
    const auto pulled = pull_it(name);
    EXPECT_FALSE(pulled);
    return pulled ? Error{} : pulled.error();
  }
  fs::path model() const { return options.home / "models" / "org" / "model"; }
  static std::string text_of(const fs::path& path) {
    const auto text = read_text_file(path, 1U << 24);
    return text ? *text : "(none)";
  }
  static void write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
  }
  static std::set<std::string> names_in(const fs::path& folder) {
    std::set<std::string> names;
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      names.insert(it->path().filename());
    }
    return names;
  }
  // Every file below the folder of this test that is not of the hub's certificate.
  std::set<std::string> everything() const {
    std::set<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(folder_.path())) {
      if (!entry.is_directory()) names.insert(fs::relative(entry.path(), folder_.path()));
    }
    return names;
  }
  void expect_whole(const std::vector<HubServer::File>& files = model_files()) {
    for (const HubServer::File& file : files) {
      if (file.path == "README.md" || file.path == "modeling.py" || file.path == "pytorch_model.bin") continue;
      EXPECT_TRUE(text_of(model() / file.path) == file.content) << file.path;
    }
    EXPECT_EQ(names_in(options.home / "models" / "org"), std::set<std::string>{"model"});
  }
  // A fault for the files that the second server has.
  void spoil_files(std::function<void(const Request&, Reply&)> spoil) {
    server.set_fault([spoil = std::move(spoil)](const Request& request, const Reply& ordinary) -> std::optional<Reply> {
      if (!request.to_files) return std::nullopt;
      Reply reply = ordinary;
      spoil(request, reply);
      return reply;
    });
  }
  // What every failure must leave: nothing that is taken for a model, and nothing outside.
  void expect_no_model() { EXPECT_FALSE(fs::exists(model())); }

  TempFolder folder_;
  HubServer server;
  PullOptions options;
};

TEST_F(PullTest, BringsTheFilesOfTheModelAndNoOthers) {
  const Pulled pulled = pull_it().value();
  EXPECT_EQ(pulled.how, Pulled::How::downloaded);
  EXPECT_EQ(pulled.commit, kCommit);
  expect_whole();
  EXPECT_EQ(names_in(model()),
            (std::set<std::string>{".escribano-pull.json", "config.json", "model-00001-of-00002.safetensors",
                                   "model-00002-of-00002.safetensors", "tokenizer.json"}));
  const Manifest manifest = read_manifest(model()).value();
  EXPECT_EQ(manifest.commit, kCommit);
  for (const PullFile& file : manifest.files) EXPECT_EQ(file.remote.sha256, sha256_of(text_of(model() / file.name)));
}

TEST_F(PullTest, TheTokenGoesToTheHubAndNoFurther) {
  pull_well();
  int to_files = 0;
  for (const Request& request : server.requests()) {
    EXPECT_EQ(request.authorization, request.to_files ? "" : "Bearer hf_secret") << request.target;
    to_files += request.to_files ? 1 : 0;
  }
  EXPECT_EQ(to_files, 8 + 5) << "segments";
}

TEST_F(PullTest, WhatIsUpToDateIsNotAskedForAgain) {
  pull_well();
  const std::size_t requests = server.requests().size();
  EXPECT_EQ(pull_it().value().how, Pulled::How::up_to_date);
  EXPECT_EQ(server.requests().size(), requests + 2);
}

TEST_F(PullTest, ANewerCommitBringsWhatHasChanged) {
  pull_well();
  write(model() / "escribano.json", R"({"max_frames_per_prompt":6})");
  auto files = model_files();
  files[2].content = content(300'001, 22);
  files[0].content = R"({"a":2})";
  server.set_files(files, kNewCommit);
  const std::uint64_t before = server.sent_bytes();
  const Pulled pulled = pull_it().value();
  EXPECT_EQ(pulled.commit, kNewCommit);
  EXPECT_EQ(pulled.fresh_bytes, 300'001U + 7U);
  EXPECT_LT(server.sent_bytes() - before, 310'000U);
  EXPECT_THAT(pulled.replaced, HasSubstr("org/model@aaaa"));
  expect_whole(files);
  EXPECT_EQ(text_of(model() / "escribano.json"), R"({"max_frames_per_prompt":6})");
}

TEST_F(PullTest, AFileOfTheFolderThatWasChangedSinceIsNotTrusted) {
  pull_well();
  write(model() / "model-00001-of-00002.safetensors", content(500'000, 99));
  auto files = model_files();
  files[0].content = R"({"a":2})";
  server.set_files(files, kNewCommit);
  pull_well();
  expect_whole(files);
}

TEST_F(PullTest, OneThatIsStoppedGoesOnWithTheByteItHadComeTo) {
  int stops = 0;
  for (std::uint64_t limit = 100'000;; limit += 100'000) {
    std::stop_source stop;
    const auto pulled = pull(
        parse_hub_name("org/model").value(), options,
        [&](const PullProgress& progress) {
          if (progress.stage == PullProgress::Stage::downloading && progress.done_bytes > limit) stop.request_stop();
        },
        stop.get_token());
    if (pulled) break;
    EXPECT_EQ(pulled.error().code, Errc::cancelled);
    expect_no_model();
    ++stops;
  }
  EXPECT_GT(stops, 3);
  expect_whole();
}

TEST_F(PullTest, WhatArrivedIsNotAskedForAgain) {
  // The second half of each file breaks off once: what was sent before counts.
  spoil_files([](const Request& request, Reply& reply) {
    if (request.number > 0 || reply.body.size() < 50'000) return;
    reply.length = static_cast<std::int64_t>(reply.body.size());
    reply.body.resize(reply.body.size() / 2);
    reply.close = true;
  });
  pull_well();
  expect_whole();
  EXPECT_LT(server.sent_bytes(), 820'000U);
}

TEST_F(PullTest, AListingOfSeveralPagesIsReadToItsEnd) {
  server.set_page_size(2);
  pull_well();
  expect_whole();
}

TEST_F(PullTest, AServerThatIgnoresRangesIsReadFromTheBeginning) {
  server.ignore_ranges();
  const auto broken = std::make_shared<std::atomic<int>>(0);
  spoil_files([broken](const Request&, Reply& reply) {
    if (reply.body.size() < 400'000 || ++*broken > 2) return;
    reply.length = static_cast<std::int64_t>(reply.body.size());
    reply.body.resize(100'000);
    reply.close = true;
  });
  pull_well();
  expect_whole();
}

TEST_F(PullTest, AServerThatPromisesAnotherLengthIsRefused) {
  for (const int difference : {-1, 1, 1'000'000}) {
    server.ignore_ranges();
    spoil_files([difference](const Request&, Reply& reply) {
      reply.length = static_cast<std::int64_t>(reply.body.size()) + difference;
    });
    const Error error = failure();
    EXPECT_EQ(error.code, Errc::protocol_error);
    EXPECT_THAT(error.message, AllOf(HasSubstr("the listing says"), HasSubstr("safetensors")));
    expect_no_model();
  }
}

TEST_F(PullTest, AServerThatSendsAnotherRangeIsRefused) {
  spoil_files([](const Request&, Reply& reply) {
    for (auto& [name, value] : reply.headers) value = "bytes 5-70000/500000";
  });
  const Error error = failure();
  EXPECT_EQ(error.code, Errc::protocol_error);
  EXPECT_THAT(error.message, HasSubstr("bytes 5-70000/500000"));
}

TEST_F(PullTest, AServerThatSendsMoreThanItShouldIsRefused) {
  spoil_files([](const Request&, Reply& reply) {
    reply.length = -1;
    reply.endless = true;
  });
  const Error error = failure();
  EXPECT_EQ(error.code, Errc::protocol_error);
  EXPECT_THAT(error.message, HasSubstr("more than"));
  expect_no_model();
}

TEST_F(PullTest, AServerThatAlwaysStopsMidwayIsGivenUp) {
  for (const bool says_length : {true, false}) {
    spoil_files([says_length](const Request&, Reply& reply) {
      reply.length = says_length ? static_cast<std::int64_t>(reply.body.size()) : -1;
      reply.body.clear();
      reply.close = true;
    });
    const Error error = failure();
    EXPECT_EQ(error.code, Errc::backend_error);
    EXPECT_THAT(error.message, HasSubstr("tried 6 times"));
    expect_no_model();
  }
}

TEST_F(PullTest, AFileWithAnotherHashIsDeleted) {
  spoil_files([](const Request& request, Reply& reply) {
    if (request.target.find("00002-of") != std::string::npos) reply.body[0] ^= 1;
  });
  const Error error = failure();
  EXPECT_EQ(error.code, Errc::corrupt);
  EXPECT_THAT(error.message, AllOf(HasSubstr("model-00002-of-00002.safetensors"), HasSubstr("deleted")));
  expect_no_model();
  const auto left = names_in(options.home / "models" / "org" / ".model.part" / "files");
  EXPECT_FALSE(left.contains("model-00002-of-00002.safetensors"));
  EXPECT_TRUE(left.contains("model-00001-of-00002.safetensors"));
  server.set_fault({});
  pull_well();
  expect_whole();
}

TEST_F(PullTest, ASmallFileWithAnotherHashIsDeletedToo) {
  server.set_fault([](const Request& request, const Reply& ordinary) -> std::optional<Reply> {
    if (!request.target.ends_with("config.json")) return std::nullopt;
    Reply reply = ordinary;
    reply.body[0] = '[';
    return reply;
  });
  const Error error = failure();
  EXPECT_EQ(error.code, Errc::corrupt);
  EXPECT_THAT(error.message, AllOf(HasSubstr("config.json"), HasSubstr("SHA-1")));
}

TEST_F(PullTest, WhatWasLostWithThePowerIsFetchedOnceMore) {
  spoil_files([](const Request& request, Reply& reply) {
    if (request.target.find("00002-of") != std::string::npos) reply.body[0] ^= 1;
  });
  EXPECT_EQ(failure().code, Errc::corrupt);
  server.set_fault({});
  // The journal promises what the disk does not have.
  const fs::path data = options.home / "models" / "org" / ".model.part" / "files" / "model-00001-of-00002.safetensors";
  const fs::path journal =
      options.home / "models" / "org" / ".model.part" / "journals" / "model-00001-of-00002.safetensors";
  std::string text = text_of(journal);
  text.replace(text.find("checked"), 7, "partial");
  write(journal, text);
  write(data, std::string(500'000, '\0'));
  pull_well();
  expect_whole();
}

TEST_F(PullTest, RedirectsInACircleEnd) {
  server.set_fault([](const Request& request, const Reply&) -> std::optional<Reply> {
    if (request.target.find("/resolve/") == std::string::npos) return std::nullopt;
    return Reply{.status = 302, .headers = {{"Location", request.target}}};
  });
  const Error error = failure();
  EXPECT_EQ(error.code, Errc::backend_error);
  EXPECT_THAT(error.message, HasSubstr("circle"));
  EXPECT_LT(server.requests().size(), 80U);
}

TEST_F(PullTest, RedirectsToWhatIsNotSafeAreNotFollowed) {
  for (const char* location : {"http://127.0.0.1:1/x", "file:///etc/passwd", "ftp://127.0.0.1/x", "", "https://"}) {
    server.set_fault([location](const Request& request, const Reply&) -> std::optional<Reply> {
      if (request.target.find("/resolve/") == std::string::npos) return std::nullopt;
      return Reply{.status = 302, .headers = {{"Location", location}}};
    });
    const Error error = failure();
    EXPECT_EQ(error.code, Errc::backend_error) << error.message;
    EXPECT_THAT(error.message, HasSubstr("redirected")) << location;
  }
}

TEST_F(PullTest, NamesThatLeadElsewhereWriteNothing) {
  const auto before = everything();
  for (const char* path : {"../../../../evil.safetensors", "/tmp/evil.safetensors", "a\\\\..\\\\b.safetensors",
                           "x/../../evil.gguf", "evil\\u0000.safetensors", "evil\\n.safetensors", "nul.safetensors",
                           "CON.safetensors", ".escribano-pull.json.safetensors"}) {
    server.set_listing(fmt::format(R"({{"type":"file","path":"config.json","size":7,"oid":"{}"}},)"
                                   R"({{"type":"file","path":"{}","size":7,"oid":"{}"}})",
                                   git_sha1_of(R"({"a":1})"), path, std::string(40, '0')));
    const Error error = failure();
    EXPECT_EQ(error.code, Errc::protocol_error) << path;
    EXPECT_THAT(error.message, HasSubstr("nothing was written"));
    EXPECT_EQ(everything(), before) << path;
  }
}

TEST_F(PullTest, AnEndlessAnswerIsCutOff) {
  options.hub.max_answer_bytes = 1U << 20;
  server.set_fault([](const Request& request, const Reply&) -> std::optional<Reply> {
    if (request.target.find("/tree/") == std::string::npos) return std::nullopt;
    return Reply{.body = "[" + std::string(65536, ' '), .endless = true};
  });
  const Error error = failure();
  EXPECT_THAT(error.message, HasSubstr("larger than 1048576 bytes"));
}

TEST_F(PullTest, AListingThatNeverEndsIsCutOff) {
  server.set_fault([this](const Request& request, const Reply& ordinary) -> std::optional<Reply> {
    if (request.target.find("/tree/") == std::string::npos) return std::nullopt;
    Reply reply = ordinary;
    reply.body = "[]";
    reply.headers = {{"Link", fmt::format("<{}{}>; rel=\"next\"", server.url(), request.target)}};
    return reply;
  });
  EXPECT_EQ(failure().code, Errc::too_large);
}

TEST_F(PullTest, RefusalsSayWhatToDo) {
  struct Case {
    int status;
    std::string token;
    Errc code;
    const char* message;
  };
  for (const Case& c :
       {Case{401, "", Errc::not_permitted, "set HF_TOKEN"},
        Case{401, "x", Errc::not_permitted, "does not accept the token"},
        Case{403, "", Errc::not_permitted, "set HF_TOKEN"},
        Case{403, "x", Errc::not_permitted, "asked for on its page"}, Case{404, "", Errc::not_found, "org/model@main"},
        Case{429, "", Errc::overloaded, "too often"}, Case{500, "", Errc::backend_error, "status 500"},
        Case{418, "", Errc::backend_error, "status 418"}}) {
    options.hub.token = c.token;
    server.set_fault(
        [status = c.status](const Request&, const Reply&) { return Reply{.status = status, .body = "<html>"}; });
    const Error error = failure();
    EXPECT_EQ(error.code, c.code) << c.status;
    EXPECT_THAT(error.message, HasSubstr(c.message));
    EXPECT_THAT(everything(), IsEmpty());
  }
}

TEST_F(PullTest, GatedFilesOfAListedModelAreARefusalToo) {
  server.set_fault([](const Request& request, const Reply&) -> std::optional<Reply> {
    if (request.target.find("/resolve/") == std::string::npos) return std::nullopt;
    return Reply{.status = 403, .body = "gated"};
  });
  EXPECT_EQ(failure().code, Errc::not_permitted);
  EXPECT_THAT(everything(), IsEmpty());
}

TEST_F(PullTest, FailuresThatPassAreTriedAgain) {
  const auto spoiled = std::make_shared<std::atomic<int>>(0);
  server.set_fault([spoiled](const Request& request, const Reply&) -> std::optional<Reply> {
    if (request.number > 1) return std::nullopt;
    const int status[] = {503, 429};
    ++*spoiled;
    return Reply{.status = status[request.number], .body = "later"};
  });
  pull_well();
  EXPECT_GT(*spoiled, 20);
  expect_whole();
}

TEST_F(PullTest, AServerIsLeftAloneForAsLongAsItAsks) {
  server.set_fault([](const Request& request, const Reply&) -> std::optional<Reply> {
    if (request.number > 0 || request.target.find("/tree/") == std::string::npos) return std::nullopt;
    return Reply{.status = 429, .headers = {{"Retry-After", "1"}}};
  });
  const auto begin = std::chrono::steady_clock::now();
  pull_well();
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::seconds(1));
}

TEST_F(PullTest, AServerThatAsksForTooMuchPatienceIsGivenUp) {
  for (const char* seconds : {"86400", "99999999999999999999"}) {
    server.set_fault([seconds](const Request&, const Reply&) {
      return Reply{.status = 429, .headers = {{"Retry-After", seconds}}};
    });
    const Error error = failure();
    EXPECT_EQ(error.code, Errc::overloaded);
    EXPECT_THAT(error.message, HasSubstr("left alone for"));
  }
}

TEST_F(PullTest, AServerThatFallsSilentIsTriedAgainAndGivenUp) {
  options.hub.stall_timeout = std::chrono::milliseconds(100);
  options.hub.retry.attempts_to_reach = 2;
  server.set_fault([](const Request&, const Reply&) { return Reply{.silent = true}; });
  EXPECT_THAT(failure().message, AllOf(HasSubstr("nothing was heard"), HasSubstr("tried 2 times")));
}

TEST_F(PullTest, AnAddressThatHasExpiredIsAskedForAnew) {
  const auto expired = std::make_shared<std::atomic<int>>(0);
  spoil_files([expired](const Request&, Reply& reply) {
    if ((*expired)++ == 5) reply = {.status = 403, .body = "expired"};
  });
  pull_well();
  expect_whole();
}

TEST_F(PullTest, ACertificateThatNobodyVouchesForIsRefused) {
  options.hub.ca_file.clear();
  const Error error = failure();
  EXPECT_EQ(error.code, Errc::backend_error);
  EXPECT_THAT(error.message, AllOf(HasSubstr("certificate"), HasSubstr("SSL_CERT_FILE")));
  EXPECT_THAT(server.requests(), IsEmpty());
}

TEST_F(PullTest, TooLittleSpaceIsFoundBeforeAnythingIsDownloaded) {
  server.set_listing(fmt::format(R"({{"type":"file","path":"config.json","size":7,"oid":"{0}"}},)"
                                 R"({{"type":"file","path":"model.safetensors","size":1099511627776,"oid":"{0}",)"
                                 R"("lfs":{{"oid":"{1}","size":1099511627776}}}},)"
                                 R"({{"type":"file","path":"model-2.safetensors","size":1099511627776,"oid":"{0}",)"
                                 R"("lfs":{{"oid":"{1}","size":1099511627776}}}})",
                                 std::string(40, '0'), std::string(64, '0')));
  options.segment_bytes = 16U << 20;
  const auto space = fs::space(folder_.path());
  if (space.available > (2ULL << 40)) GTEST_SKIP() << "this disk has room for everything";
  const Error error = failure();
  EXPECT_EQ(error.code, Errc::io_error);
  EXPECT_THAT(error.message, HasSubstr("free"));
  EXPECT_THAT(everything(), IsEmpty());
}

TEST_F(PullTest, ADiskThatFillsIsAnErrorAndWhatArrivedIsKept) {
  rlimit before = {};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit limit = before;
  limit.rlim_cur = 200'000;
  ::setrlimit(RLIMIT_FSIZE, &limit);
  const Error error = failure();
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(error.code, Errc::io_error);
  EXPECT_THAT(error.message, HasSubstr("cannot be written"));
  expect_no_model();
  pull_well();
  expect_whole();
}

TEST_F(PullTest, AHomeThatCannotBeWrittenIsAnError) {
  write(folder_.path() / "file", "");
  options.home = folder_.path() / "file";
  EXPECT_THAT(failure().message, HasSubstr("cannot be made"));
}

TEST_F(PullTest, TheSecondOfTwoAtOnceSaysSo) {
  fs::create_directories(model().parent_path());
  const auto lock = FileLock::try_lock(model().parent_path() / ".model.lock").value();
  ASSERT_TRUE(lock);
  EXPECT_EQ(failure().code, Errc::already_running);
}

TEST_F(PullTest, AFolderThatWasNotPulledIsLeftAlone) {
  write(model() / "config.json", "mine");
  EXPECT_EQ(failure().code, Errc::invalid_argument);
  EXPECT_EQ(text_of(model() / "config.json"), "mine");
  fs::remove_all(model());
  fs::create_directory_symlink(folder_.path(), model());
  EXPECT_EQ(failure().code, Errc::invalid_argument);
}

TEST_F(PullTest, LinksInTheUnfinishedFolderAreNotFollowed) {
  const fs::path victim = folder_.path() / "victim";
  write(victim / "config.json", "precious");
  const fs::path part = model().parent_path() / ".model.part";
  fs::create_directories(part);
  fs::create_directory_symlink(victim, part / "files");
  pull_well();
  expect_whole();
  EXPECT_EQ(text_of(victim / "config.json"), "precious");
  EXPECT_EQ(names_in(victim).size(), 1U);
}

TEST_F(PullTest, ACacheOfHuggingFaceIsUsedInPlace) {
  options.hf_hub = folder_.path() / "hub";
  const fs::path repository = options.hf_hub / "models--org--model";
  for (const HubServer::File& file : model_files()) {
    write(repository / "blobs" / sha256_of(file.content), file.content);
    fs::create_directories(repository / "snapshots" / kCommit);
    fs::create_symlink(repository / "blobs" / sha256_of(file.content), repository / "snapshots" / kCommit / file.path);
  }
  write(repository / "refs" / "main", kCommit);
  const Pulled pulled = pull_it().value();
  EXPECT_EQ(pulled.how, Pulled::How::in_cache);
  EXPECT_EQ(pulled.folder, repository / "snapshots" / kCommit);
  EXPECT_EQ(server.requests().size(), 2U);
  EXPECT_FALSE(fs::exists(options.home));
  options.offline = true;
  EXPECT_EQ(pull_it().value().how, Pulled::How::in_cache);
  // What is not whole there is downloaded.
  options.offline = false;
  fs::remove(repository / "snapshots" / kCommit / "tokenizer.json");
  EXPECT_EQ(pull_it().value().how, Pulled::How::downloaded);
  expect_whole();
}

TEST_F(PullTest, OfflineNothingIsAsked) {
  options.offline = true;
  const Error error = failure();
  EXPECT_EQ(error.code, Errc::not_found);
  EXPECT_THAT(error.message, HasSubstr("HF_HUB_OFFLINE"));
  EXPECT_THAT(server.requests(), IsEmpty());
  options.offline = false;
  pull_well();
  options.offline = true;
  EXPECT_EQ(pull_it().value().how, Pulled::How::up_to_date);
  EXPECT_EQ(failure("org/model@other").code, Errc::not_found);
}

TEST_F(PullTest, AnotherLabelComesToLieBesideTheOneBefore) {
  const std::vector<HubServer::File> files = {{"M-Q4_K_M.gguf", content(1000, 1)},
                                              {"sub/M-Q8_0.gguf", content(2000, 2)},
                                              {"M-F16.gguf", content(4000, 4)},
                                              {"mmproj-F16.gguf", content(500, 3)}};
  server.set_files(files);
  using Names = std::set<std::string>;
  EXPECT_EQ(failure().code, Errc::invalid_argument);
  pull_well("org/model:q4_k_m");
  EXPECT_EQ(names_in(model()), (Names{".escribano-pull.json", "M-Q4_K_M.gguf", "mmproj-F16.gguf"}));
  EXPECT_EQ(pull_it("org/model:Q4_K_M").value().how, Pulled::How::up_to_date);
  const Pulled second = pull_it("org/model:Q8_0").value();
  EXPECT_EQ(second.fresh_bytes, 2000u);
  EXPECT_EQ(second.replaced, "");
  EXPECT_EQ(names_in(model()), (Names{".escribano-pull.json", "M-Q4_K_M.gguf", "M-Q8_0.gguf", "mmproj-F16.gguf"}));
  EXPECT_EQ(pull_it("org/model:Q4_K_M").value().how, Pulled::How::up_to_date);
  EXPECT_EQ(pull_it("org/model:Q8_0").value().how, Pulled::How::up_to_date);

  // What somebody has removed is not brought back.
  fs::remove(model() / "M-Q4_K_M.gguf");
  pull_well("org/model:F16");
  EXPECT_EQ(names_in(model()), (Names{".escribano-pull.json", "M-F16.gguf", "M-Q8_0.gguf", "mmproj-F16.gguf"}));

  // Files of two commits do not belong together.
  server.set_files(files, kNewCommit);
  EXPECT_THAT(pull_it("org/model:F16").value().replaced, HasSubstr("org/model"));
  EXPECT_EQ(names_in(model()), (Names{".escribano-pull.json", "M-F16.gguf", "mmproj-F16.gguf"}));
}

TEST_F(PullTest, ACrashBeforeOrAfterTheLastStepIsMended) {
  pull_well();
  const fs::path part = model().parent_path() / ".model.part";
  // Before: all is there, under its other name.
  fs::create_directories(part);
  fs::rename(model(), part / "files");
  const std::uint64_t sent = server.sent_bytes();
  EXPECT_EQ(pull_it().value().how, Pulled::How::downloaded);
  expect_whole();
  EXPECT_LT(server.sent_bytes() - sent, 5'000U);
  // After: what was replaced has not been removed yet.
  fs::create_directories(part);
  fs::copy(model(), part / "files", fs::copy_options::recursive);
  EXPECT_EQ(pull_it().value().how, Pulled::How::up_to_date);
  expect_whole();
}

class PlainPullTest : public PullTest {
 protected:
  PlainPullTest() : PullTest(HubServer::Tls::off) {}
};

TEST_F(PlainPullTest, AHubOverHttpIsOneThatTheUserNamed) {
  pull_well();
  expect_whole();
}

TEST(HubClientToken, IsNotSentWhereOthersCanListen) {
  const HubClient plain = HubClient::create({.endpoint = "http://hub.example", .token = "t"}).value();
  EXPECT_EQ(plain.token_for("http://hub.example/x"), "");
  const HubClient hub = HubClient::create({.endpoint = "https://hub.example/", .token = "t"}).value();
  EXPECT_EQ(hub.url("/x"), "https://hub.example/x");
  EXPECT_EQ(hub.token_for("https://HUB.example:443/x"), "t");
  for (const char* url : {"https://hub.example:444/x", "http://hub.example/x", "https://hub.example.evil/x",
                          "https://evil/hub.example"}) {
    EXPECT_EQ(hub.token_for(url), "") << url;
  }
  EXPECT_FALSE(HubClient::create({.endpoint = "ftp://hub.example"}));
}

}  // namespace
}  // namespace escribano::hub
