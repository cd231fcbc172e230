// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "framework/metrics/metric.h"

namespace retain::framework {

/// Names of all metrics, in the order help shows them.
std::vector<std::string> metric_names();
/// Throws Error(config_invalid) that lists the names and suggests the nearest.
Metric metric_named(const std::string& name);

/// Exact match after SQuAD 1.1 normalisation (Rajpurkar et al. 2016): lower case, ASCII punctuation deleted, articles
/// dropped, white space collapsed; 1 when equal to any reference.
double exact_match(const ScoreInput& input);

/// The first count in the prediction (1,234 = 1234; 3.0 = 3; 2.5 is none; number words zero to twenty; no, none = 0)
/// equals the reference integer.
double count(const ScoreInput& input);

/// The option letter a free-form answer names equals the reference letter. Rules, first hit wins: the letter alone; at the
/// start with a mark; after "answer is", "option:", …; the last "(X)"; the only letter standing as a word ("A" and "I" only
/// at the end); the only option text that occurs.
double mcq(const ScoreInput& input);

}  // namespace retain::framework
