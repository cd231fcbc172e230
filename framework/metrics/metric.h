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
};

/// From 0 (wrong) to 1 (right).
using Metric = double (*)(const ScoreInput&);

}  // namespace retain::framework
