// SPDX-License-Identifier: Apache-2.0
// What one run adds to a figure over several runs: differences between its stages, question by question.
#pragma once
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "framework/report/analysis.h"

namespace retain::framework {

class RunFigure {
 public:
  /// Points of one run, or of the base, each with its coefficient; at least one.
  using Combination = std::vector<std::pair<const StudyPoint*, double>>;
  /// Which questions of a benchmark count, by their position.
  enum class Questions : std::uint8_t { all, even, odd };

  explicit RunFigure(const StudySource& source) : source_(source) {}

  /// Adds Σ coefficient · score of each question, in percentage points; the benchmark's mean weighs `weight`.
  void add(const StudyBenchmark& benchmark, const Combination& combination, double weight, Questions questions = Questions::all);
  /// Adds a figure that rests on no questions.
  void add_value(double value) { strata_.push_back({{value}, 1}); }
  /// Says that the figure cannot be had.
  void spoil() noexcept { whole_ = false; }

  /// Nothing once a benchmark's answers are not kept or are answers to other questions.
  std::optional<std::vector<Stratum>> strata() const;

 private:
  const StudySource& source_;
  std::vector<Stratum> strata_;
  bool whole_ = true;
};

}  // namespace retain::framework
