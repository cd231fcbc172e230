// SPDX-License-Identifier: Apache-2.0
#include "framework/metrics/registry.h"

#include "framework/base/error.h"
#include "framework/config/nearest.h"

namespace retain::framework {
namespace {

struct Entry {
  const char* name;
  Metric clean;
  Metric faithful;
};

constexpr Entry kMetrics[] = {{"exact_match", exact_match, released_exact_match},
                              {"count", count, released_count},
                              {"mcq", mcq, released_option_letter},
                              {"relaxed_accuracy", relaxed_accuracy, released_relaxed_accuracy},
                              {"anls", anls, released_anls},
                              {"vqa_accuracy", vqa_accuracy, released_vqa_accuracy},
                              {"option_letter", option_letter, released_option_letter},
                              {"leading_letter", leading_letter, leading_letter},
                              {"first_character", first_character, first_character},
                              {"scienceqa", scienceqa, released_scienceqa},
                              {"mmstar", mmstar, mmstar},
                              {"realworldqa", realworldqa, realworldqa},
                              {"countbench", count, released_countbench},
                              {"clock", clock_time, clock_time},
                              {"clock_hour", clock_hour, clock_hour},
                              {"clock_minute", clock_minute, clock_minute},
                              {"pathvqa", pathvqa, released_pathvqa},
                              {"word_f1", word_f1, released_word_f1},
                              {"bleu_1", bleu_1, released_bleu_1},
                              {"bleu_2", bleu_2, released_bleu_2},
                              {"bleu_3", bleu_3, released_bleu_3},
                              {"yes_no", yes_no, released_yes_no},
                              {"ocrbench", ocrbench, released_ocrbench}};

}  // namespace

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const Entry& entry : kMetrics) names.emplace_back(entry.name);
  return names;
}

ScoringMode scoring_mode_from_name(const std::string& name) {
  if (name == "clean") return ScoringMode::clean;
  if (name == "faithful") return ScoringMode::faithful;
  throw Error(ErrorKind::config_invalid, {"unknown mode \"" + name + "\"", "clean or faithful", name, "use one of these"});
}

Metric metric_named(const std::string& name, ScoringMode mode) {
  std::string listed;
  for (const Entry& entry : kMetrics) {
    if (name == entry.name) return mode == ScoringMode::clean ? entry.clean : entry.faithful;
    listed += (listed.empty() ? "" : ", ") + std::string(entry.name);
  }
  throw Error(ErrorKind::config_invalid,
              {"unknown metric \"" + name + "\"", listed, name, did_you_mean(name, metric_names(), "use one of these")});
}

}  // namespace retain::framework
