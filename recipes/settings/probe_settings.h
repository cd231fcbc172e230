// SPDX-License-Identifier: Apache-2.0
// The [[probe]] entries of an experiment: what is read of a model's outputs and layers on fixed captions, and when.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/config/toml.h"
#include "recipes/settings/step_plan.h"

namespace retain::recipes {

enum class ProbeKind : std::uint8_t {
  token_bias,       ///< how probable the tokens of a set are
  output_distance,  ///< KL divergence and top-1 agreement against the base's outputs
  layer_delta,      ///< what each attention and MLP block contributes to the logits, against the base's
  samples           ///< answers, to be read
};

struct Probe {
  std::string name;
  ProbeKind kind = ProbeKind::token_bias;
  bool numbers = true;                 ///< token_bias: the tokens that mean a number (kind = "number_bias")
  std::filesystem::path data;          ///< captions: LLaVA records
  std::filesystem::path images;
  std::int64_t limit = 0;              ///< first records only; 0: all
  bool generated = false;              ///< token_bias: while the model writes its own answer; else along the caption
  std::int64_t max_new_tokens = 256;   ///< of a generated answer
  std::vector<std::string> tokens;     ///< token_bias: words, each standing for every token of that text, white space aside
  std::string pattern;                 ///< or a PCRE2 pattern over token texts
  std::string task;                    ///< or those whose frequency in this task's answers exceeds that in the base's most
  std::int64_t count = 32;             ///< of a task: so many tokens
  std::int64_t task_records = 200;     ///< of a task: counted in so many of its first records
  StepPlan steps;                      ///< also inside every stage, after these steps

  /// Whether it needs the base's weights beside the model's.
  bool compares() const { return kind == ProbeKind::output_distance || kind == ProbeKind::layer_delta; }
};

/// Reads [[probe]]; `faithful`: defaults as the paper's code was released. `tasks`: names a probe may take its tokens from.
/// Throws Error(config_invalid) naming file, line and key.
std::vector<Probe> read_probes(const framework::ConfigTable& root, const std::filesystem::path& folder, bool faithful,
                               const std::vector<std::string>& tasks);

/// What decides a reading beside weights and data. The steps do not.
framework::json::object describe(const Probe& probe);

}  // namespace retain::recipes
