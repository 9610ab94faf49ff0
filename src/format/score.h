#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "format/description.h"

namespace escribano {

// How near an answer comes to the truth. Words and names are compared without regard to the case of ASCII letters.
struct AnswerScore {
  bool activity = false;   // the same
  bool apps = false;       // the same, in the same order
  double apps_f1 = 0;      // harmonic mean of precision and recall; 1 where both have none
  double description = 0;  // the same of the words, each as often as it occurs
};
AnswerScore score_answer(const Description& answer, const Description& truth);

// Where two texts part.
struct TextDifference {
  std::size_t word = 0;  // from 1
  std::string left;      // empty: that text ends there
  std::string right;

  friend bool operator==(const TextDifference&, const TextDifference&) = default;
};
// The first word that differs; nullopt where all are the same.
std::optional<TextDifference> first_difference(std::string_view left, std::string_view right);

}  // namespace escribano
