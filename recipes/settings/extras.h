// SPDX-License-Identifier: Apache-2.0
// What a program adds to Retain: methods and metrics that its experiment files may name.
#pragma once
#include <map>
#include <string>

#include "framework/metrics/metric.h"
#include "recipes/methods/registry.h"

namespace retain::recipes {

struct Extras {
  MethodRegistry methods;                             ///< Retain's own and what was added
  std::map<std::string, framework::Metric> metrics;   ///< beside Retain's own, by names of their own
};

}  // namespace retain::recipes
