#include <cmath>

#include <fmt/format.h>

#include "domain/intelligence_service.h"

namespace escribano {
namespace {

constexpr int kMaxBatchSize = 255;
constexpr int kMaxTokens = 1'000'000;
constexpr float kMaxTemperature = 10;

void check_range(std::vector<std::string>& problems, std::string_view name, int value, int high) {
  if (value < 1 || value > high)
    problems.push_back(fmt::format("{} is {}; it must be from 1 to {}", name, value, high));
}

void check_temperature(std::vector<std::string>& problems, float value) {
  if (!(value >= 0 && value <= kMaxTemperature)) {
    problems.push_back(fmt::format("the temperature is {}; it must be from 0 to {}", value, kMaxTemperature));
  }
}

}  // namespace

std::vector<std::string> DescribeOptions::validate() const {
  std::vector<std::string> problems;
  check_range(problems, "the batch size", batch_size, kMaxBatchSize);
  check_range(problems, "the token budget", max_tokens, kMaxTokens);
  check_temperature(problems, temperature);
  return problems;
}

std::vector<std::string> GenerateOptions::validate() const {
  std::vector<std::string> problems;
  check_range(problems, "the token budget", max_tokens, kMaxTokens);
  check_temperature(problems, temperature);
  return problems;
}

}  // namespace escribano
