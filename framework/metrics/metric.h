// SPDX-License-Identifier: Apache-2.0
// A metric scores one prediction against its references; a benchmark's figure is the mean of its scores.
// To add one: a file beside this, declared in registry.h and listed in registry.cpp.
#pragma once
#include <string>
#include <vector>

namespace retain::framework {

/// What a metric is given.
struct ScoreInput {
  std::string prediction;
  std::vector<std::string> references;
  std::vector<std::string> options;  ///< answer options of a multiple-choice question, A first; empty otherwise
  std::string question;              ///< as the benchmark has it, without prompt; read by few metrics
  std::string category;              ///< the benchmark's own grouping of its questions; may be empty
};

/// From 0 (wrong) to 1 (right); NaN where the metric does not speak of such a question, which is then left out of the mean.
using Metric = double (*)(const ScoreInput&);

enum class ScoringMode {
  clean,     ///< as defined in registry.h
  faithful,  ///< as the paper's released evaluation code scores (lmms-eval as in LMM_CL), with its surprises
};

}  // namespace retain::framework
