// SPDX-License-Identifier: Apache-2.0
#include "recipes/training/reference_weights.h"

#include <ATen/ATen.h>

#include <optional>
#include <set>
#include <utility>

#include "framework/base/error.h"
#include "parallel/sharded_store.h"

namespace retain::recipes {

parallel::ParameterSet reference_weights(const MethodStart& start) {
  std::set<std::string> trained;
  for (const Selected& one : start.selected) trained.insert(one.name);
  std::vector<parallel::Parameter> all, foreign;
  for (const parallel::Parameter& parameter : start.model.parameters().all()) {
    const std::string& name = parameter.spec.name;
    const auto known = start.reference && start.parent ? start.reference->digest(name) : std::nullopt;
    const bool differs = start.reference && (!known || known != start.parent->digest(name));
    at::Tensor value = parameter.value.detach();
    if (differs || trained.contains(name)) value = value.clone();
    if (differs) foreign.push_back({parameter.spec, value});
    all.push_back({parameter.spec, std::move(value)});
  }
  if (!foreign.empty()) {
    parallel::ParameterSet missing(std::move(foreign));  // shares its memory with `all`
    parallel::ShardedStore::read(*start.reference, start.model.mesh(), missing);
  }
  return parallel::ParameterSet(std::move(all));
}

}  // namespace retain::recipes
