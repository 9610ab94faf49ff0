// Drives a libFuzzer target without libFuzzer: replays every file of the corpus folder given, then a fixed number of
// seeded mutations of them. Finds nothing new; keeps what was found from coming back, in every normal build.
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  std::vector<std::vector<std::uint8_t>> inputs = {{}};
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) {
      std::fprintf(stderr, "%s is not a corpus folder\n", argv[i]);
      return 2;
    }
    for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[i])) {
      if (!entry.is_regular_file()) continue;
      std::ifstream file(entry.path(), std::ios::binary);
      inputs.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    }
  }
  for (const auto& input : inputs) LLVMFuzzerTestOneInput(input.data(), input.size());
  std::mt19937 random(1);
  const int mutations = 2000;
  for (int round = 0; round < mutations; ++round) {
    std::vector<std::uint8_t> input = inputs[random() % inputs.size()];
    if (input.size() > 65536) input.resize(65536);
    for (unsigned edit = 1 + random() % 4; edit > 0 && !input.empty(); --edit) {
      const std::size_t at = random() % input.size();
      switch (random() % 3) {
        case 0: input[at] = static_cast<std::uint8_t>(random()); break;
        case 1: input.resize(at); break;
        default:
          input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), static_cast<std::uint8_t>(random()));
          break;
      }
    }
    LLVMFuzzerTestOneInput(input.data(), input.size());
  }
  std::printf("%zu corpus inputs and %d mutations replayed\n", inputs.size() - 1, mutations);
  return 0;
}
