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

/// Relaxed accuracy (ChartQA, Masry et al. 2022): numbers within 5 % of the reference ("x%" is x/100, no thousands commas),
/// any other text equal but for case and outer white space; a reference of 0 is compared as text.
double relaxed_accuracy(const ScoreInput& input);

/// ANLS (Biten et al. 2019): the best 1 − distance over the references where that is above one half, else 0; distance is
/// Levenshtein's over the longer length, in code points, lower case, white space collapsed.
double anls(const ScoreInput& input);

/// VQA accuracy (Antol et al. 2015): mean of min(1, matches / 3) over the subsets that leave one reference out, after the
/// official normalisation of both sides (punctuation, number words, articles, contractions).
double vqa_accuracy(const ScoreInput& input);

/// The option letter a free-form answer names equals the reference letter. Rules, first hit wins: the letter alone; at the
/// start with a mark; after "answer is", "option:", …; the last "(X)"; the only letter standing as a word ("A" and "I" only
/// at the end); the only option text that occurs.
double mcq(const ScoreInput& input);

}  // namespace retain::framework
