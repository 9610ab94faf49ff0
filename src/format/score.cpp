#include "format/score.h"

#include <algorithm>
#include <vector>

namespace escribano {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  while (true) {
    const auto begin = std::find_if_not(text.begin(), text.end(), is_space);
    const auto end = std::find_if(begin, text.end(), is_space);
    if (begin == end) return words;
    words.emplace_back(begin, end);
    text.remove_prefix(static_cast<std::size_t>(end - text.begin()));
  }
}

std::string folded(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c); });
  return text;
}

std::vector<std::string> folded(std::vector<std::string> texts) {
  for (std::string& text : texts) text = folded(std::move(text));
  return texts;
}

double f1(std::vector<std::string> answer, std::vector<std::string> truth) {
  if (answer.empty() && truth.empty()) return 1;
  std::ranges::sort(answer);
  std::ranges::sort(truth);
  std::vector<std::string> common;
  std::ranges::set_intersection(answer, truth, std::back_inserter(common));
  return 2 * static_cast<double>(common.size()) / static_cast<double>(answer.size() + truth.size());
}

}  // namespace

AnswerScore score_answer(const Description& answer, const Description& truth) {
  return {.activity = folded(answer.activity) == folded(truth.activity),
          .apps = folded(answer.apps) == folded(truth.apps),
          .apps_f1 = f1(folded(answer.apps), folded(truth.apps)),
          .description = f1(words_of(folded(answer.description)), words_of(folded(truth.description)))};
}

std::optional<TextDifference> first_difference(std::string_view left, std::string_view right) {
  const std::vector<std::string> left_words = words_of(left);
  const std::vector<std::string> right_words = words_of(right);
  const auto [l, r] = std::ranges::mismatch(left_words, right_words);
  if (l == left_words.end() && r == right_words.end()) return std::nullopt;
  return TextDifference{.word = static_cast<std::size_t>(l - left_words.begin()) + 1,
                        .left = l == left_words.end() ? "" : *l,
                        .right = r == right_words.end() ? "" : *r};
}

}  // namespace escribano
