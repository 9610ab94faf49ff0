// One process that uses a bridge, for tests with several: bridge_driver SOCKET SCRIPT IMAGE...
// Prints the descriptions, or why there are none.

#include <cstdio>
#include <string>
#include <vector>

#include "intelligence/bridge_client.h"

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() < 3) return 2;
  escribano::BridgeClientOptions options;
  options.socket_path = arguments[0];
  options.command = {"python3", arguments[1]};
  options.foreign = true;
  std::vector<escribano::Frame> frames;
  for (std::size_t i = 2; i < arguments.size(); ++i) frames.push_back({arguments[i], static_cast<double>(i)});
  const auto client = escribano::make_bridge_client(options);
  escribano::DescribeOptions describe;
  describe.deadline = std::chrono::seconds(100);
  const auto outcome = client->describe_images(frames, describe, {});
  for (const auto& result : outcome.results) std::puts(result.description.c_str());
  if (!outcome.status) std::puts(outcome.status.error().message.c_str());
  std::fflush(stdout);
  // The bridge of one must not end under the other: each waits to be told.
  while (std::getchar() != EOF) {
  }
  return outcome.status ? 0 : 1;
}
