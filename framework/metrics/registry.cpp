// SPDX-License-Identifier: Apache-2.0
#include "framework/metrics/registry.h"

#include <array>
#include <utility>

#include "framework/base/error.h"
#include "framework/config/nearest.h"

namespace retain::framework {
namespace {

constexpr std::array<std::pair<const char*, Metric>, 6> kMetrics{{{"exact_match", exact_match},
                                                                  {"count", count},
                                                                  {"mcq", mcq},
                                                                  {"relaxed_accuracy", relaxed_accuracy},
                                                                  {"anls", anls},
                                                                  {"vqa_accuracy", vqa_accuracy}}};

}  // namespace

std::vector<std::string> metric_names() {
  std::vector<std::string> names;
  for (const auto& [name, metric] : kMetrics) names.emplace_back(name);
  return names;
}

Metric metric_named(const std::string& name) {
  std::string listed;
  for (const auto& [known, metric] : kMetrics) {
    if (name == known) return metric;
    listed += (listed.empty() ? "" : ", ") + std::string(known);
  }
  const std::string near = nearest(name, metric_names());
  throw Error(ErrorKind::config_invalid,
              {"unknown metric \"" + name + "\"", listed, name, near.empty() ? "use one of these" : "did you mean \"" + near + "\"?"});
}

}  // namespace retain::framework
