// say_what_is_shown PROGRAM SOCKET IMAGE: one line that says what an image shows. PROGRAM is an installed escribano.
#include <cstdio>
#include <vector>

#include <intelligence/bridge_client.h>

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  escribano::BridgeClientOptions options;
  options.command = {argv[1], "bridge", "--mode", "vlm", "--model", "demo", "--until-eof"};
  options.socket_path = argv[2];
  const auto service = escribano::make_bridge_client(options);
  const std::vector<escribano::Frame> images = {{.path = argv[3]}};
  const auto outcome = service->describe_images(images, {}, [](const auto& result, const auto&) {
    std::puts(result.error ? result.error->message.c_str() : result.description.c_str());
  });
  if (!outcome.status) std::fprintf(stderr, "%s\n", outcome.status.error().message.c_str());
  return outcome.status && outcome.results[0].status() == escribano::FrameStatus::described ? 0 : 1;
}
