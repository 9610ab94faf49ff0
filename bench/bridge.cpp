// What the bridge costs and how it behaves under load, with the demo model:
//
//   build/release/bin/bridge_bench overhead [--rounds N]   a batch of 4 frames through the socket and in this process
//   build/release/bin/bridge_bench load [--clients N] [--frames N] [--soak N]
//       N clients at once, every text compared with the one that the frame gets alone, pings all the while, then the
//       resident memory over a long run
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <future>
#include <map>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include <fmt/core.h>
#include <CLI/CLI.hpp>

#include "bridge/fake_bridge.h"
#include "cli/model_setup.h"
#include "cli/openmp_wait.h"
#include "support/bridge_program.h"

namespace escribano {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

double ms_since(Clock::time_point begin) {
  return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size())))];
}

std::vector<std::string> paths_of(const json& request) {
  std::vector<std::string> paths;
  for (const json& image : request["params"]["images"]) paths.push_back(image["imagePath"]);
  return paths;
}

std::unique_ptr<engine::Engine> engine_here() {
  const cli::Environment environment = [](std::string_view name) -> std::optional<std::string> {
    if (name == "ESCRIBANO_HOME") return ESCRIBANO_BINARY_DIR "/test-home";
    return cli::process_environment()(name);
  };
  const auto settings = cli::Settings::read(environment).value();
  const auto model = cli::find_model({.name = "demo"}, settings.home, environment, [](const std::string&) {}).value();
  return cli::start_daemon_engine(model, {.reuse = {.kind = cli::ReuseKind::embeddings}}).value();
}

double time_in_process(engine::Engine& engine, const std::vector<std::string>& paths) {
  engine::DescribeRequest request;
  for (const std::string& path : paths) request.frames.push_back({.path = path});
  std::promise<void> done;
  const auto begin = Clock::now();
  const auto job = engine.submit(std::move(request), {.on_frame = [](const engine::FrameResult&) {},
                                                      .on_done = [&](const Status&) { done.set_value(); }});
  if (!job) throw std::runtime_error(job.error().message);
  done.get_future().wait();
  return ms_since(begin);
}

double time_over_socket(BridgePeer& peer, const json& request) {
  const auto begin = Clock::now();
  peer.answers(request);
  return ms_since(begin);
}

void print_row(const char* name, const std::vector<double>& values) {
  fmt::print("{:<24} {:>8.2f} {:>8.2f} {:>8.2f}\n", name, quantile(values, 0.25), quantile(values, 0.5),
             quantile(values, 0.75));
}

// With a model that costs nothing, what is left is the engine's own work, and the bridge's.
void overhead_without_model(int rounds) {
  bridge::FakeBridge bridge;
  bridge.start();
  BridgePeer peer = bridge.connect();
  const json request = bridge.describe(1, {1, 2, 3, 4});
  const std::vector<std::string> paths = paths_of(request);
  const std::unique_ptr<engine::Engine> engine = bridge.make_engine();
  std::vector<double> here;
  std::vector<double> there;
  for (int i = -10; i < rounds; ++i) {
    const double a = time_in_process(*engine, paths);
    const double b = time_over_socket(peer, request);
    if (i < 0) continue;
    here.push_back(a);
    there.push_back(b);
  }
  fmt::print("a batch of 4 frames and a model that answers at once, {} rounds in alternation; ms as above\n", rounds);
  print_row("in process", here);
  print_row("over the bridge", there);
  fmt::print("difference of the medians: {:.2f} ms a batch\n", quantile(there, 0.5) - quantile(here, 0.5));
}

// The same four frames in turn. Their vision embeddings are cached, so that what is compared is short.
void overhead(int rounds) {
  BridgeProgram bridge;
  bridge.arguments = {"--model", "demo", "--until-eof"};
  bridge.serve();
  BridgePeer peer = bridge.connect();
  const std::unique_ptr<engine::Engine> engine = engine_here();
  const json request = BridgeProgram::describe(1, 4);
  const std::vector<std::string> paths = paths_of(request);
  std::vector<double> here;
  std::vector<double> there;
  std::vector<double> ping;
  for (int i = -3; i < rounds; ++i) {  // three to warm up
    const double a = time_in_process(*engine, paths);
    const double b = time_over_socket(peer, request);
    const double c = time_over_socket(peer, {{"id", 2}, {"method", "ping"}});
    if (i < 0) continue;
    here.push_back(a);
    there.push_back(b);
    ping.push_back(c);
  }
  std::vector<double> difference;
  for (std::size_t i = 0; i < here.size(); ++i) difference.push_back(there[i] - here[i]);
  fmt::print("a batch of 4 frames, {} rounds in alternation; ms: lower quartile, median, upper quartile\n", rounds);
  print_row("in process", here);
  print_row("over the bridge", there);
  print_row("difference by round", difference);
  print_row("ping", ping);
  fmt::print("difference of the medians: {:.2f} ms a batch\n\n", quantile(there, 0.5) - quantile(here, 0.5));
  overhead_without_model(20 * rounds);
}

// What each picture is described as when nobody else is there.
std::map<std::string, std::string> texts_alone(BridgePeer& peer, const json& all) {
  std::map<std::string, std::string> texts;
  for (const json& image : all["params"]["images"]) {
    const json request = {{"id", 1}, {"method", "describe_images"}, {"params", {{"images", {image}}}}};
    const json result = peer.answers(request).at(0)["results"][0];
    texts[image["imagePath"]] = result["description"].get<std::string>() + result["apps"].dump();
  }
  return texts;
}

int wrong_texts(const std::vector<json>& answers, const std::map<std::string, std::string>& alone, std::size_t& seen) {
  int wrong = 0;
  for (const json& answer : answers) {
    if (!answer.contains("results")) continue;
    for (const json& result : answer["results"]) {
      ++seen;
      const std::string text = result["description"].get<std::string>() + result["apps"].dump();
      if (alone.at(result["imagePath"]) != text) ++wrong;
    }
  }
  return wrong;
}

int load(int clients, int frames, int soak) {
  BridgeProgram bridge;
  bridge.arguments = {"--model", "demo", "--until-eof"};
  bridge.serve();
  BridgePeer first = bridge.connect();
  const std::map<std::string, std::string> alone = texts_alone(first, BridgeProgram::describe(1, 8));

  std::atomic<bool> over = false;
  std::vector<double> pings;
  std::thread pinger([&] {
    BridgePeer peer = bridge.connect();
    while (!over) {
      pings.push_back(time_over_socket(peer, {{"id", 1}, {"method", "ping"}}));
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  });
  std::atomic<int> wrong = 0;
  std::atomic<std::size_t> answered = 0;
  const auto begin = Clock::now();
  std::vector<std::thread> threads;
  for (int client = 0; client < clients; ++client) {
    threads.emplace_back([&, client] {
      BridgePeer peer = bridge.connect();
      json request = BridgeProgram::describe(client, static_cast<std::size_t>(frames));
      std::vector<json> images = request["params"]["images"];
      std::rotate(images.begin(), images.begin() + client % static_cast<int>(images.size()), images.end());
      request["params"]["images"] = images;
      peer.set_deadline(std::chrono::minutes(10));
      std::size_t seen = 0;
      wrong += wrong_texts(peer.answers(request), alone, seen);
      answered += seen;
    });
  }
  for (std::thread& thread : threads) thread.join();
  const double seconds = ms_since(begin) / 1000;
  over = true;
  pinger.join();
  fmt::print("{} clients x {} frames: {} answered in {:.1f} s ({:.1f} frames/s), {} texts differ from those alone\n",
             clients, frames, answered.load(), seconds, static_cast<double>(answered) / seconds, wrong.load());
  fmt::print("{} pings meanwhile: median {:.2f} ms, 99 % {:.2f} ms, longest {:.2f} ms\n", pings.size(),
             quantile(pings, 0.5), quantile(pings, 0.99), quantile(pings, 1));

  first.set_deadline(std::chrono::minutes(10));
  constexpr int kStep = 200;
  for (int done = 0; done < soak; done += kStep) {
    std::size_t seen = 0;
    wrong += wrong_texts(first.answers(BridgeProgram::describe(1, kStep)), alone, seen);
    const double mib = bridge.status()["resident_bytes"].get<double>() / (1 << 20);
    fmt::print("after {} more frames: {:.1f} MiB resident\n", done + kStep, mib);
  }
  return wrong == 0 && answered == static_cast<std::size_t>(clients) * static_cast<std::size_t>(frames) ? 0 : 1;
}

}  // namespace
}  // namespace escribano

int main(int argc, char** argv) {
  escribano::cli::sleep_at_barriers(argv);
  CLI::App app("The bridge's overhead, and its behaviour under load", "bridge_bench");
  app.require_subcommand(1);
  int rounds = 50;
  int clients = 8;
  int frames = 50;
  int soak = 2000;
  CLI::App* overhead = app.add_subcommand("overhead", "A batch over the socket and in this process, in turn");
  overhead->add_option("--rounds", rounds)->check(CLI::Range(1, 10000));
  CLI::App* load = app.add_subcommand("load", "Many clients at once, then a long run");
  load->add_option("--clients", clients)->check(CLI::Range(1, 100));
  load->add_option("--frames", frames)->check(CLI::Range(1, 10000));
  load->add_option("--soak", soak)->check(CLI::Range(0, 1000000));
  CLI11_PARSE(app, argc, argv);
  try {
    if (overhead->parsed()) escribano::overhead(rounds);
    if (load->parsed()) return escribano::load(clients, frames, soak);
  } catch (const std::exception& error) {
    fmt::print(stderr, "bridge_bench: {}\n", error.what());
    return 1;
  }
  return 0;
}
