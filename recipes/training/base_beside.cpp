// SPDX-License-Identifier: Apache-2.0
#include "recipes/training/base_beside.h"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "parallel/sharded_store.h"

namespace retain::recipes {

std::unique_ptr<models::Lmm> base_beside(models::Lmm& model, const ModelKit& kit, const framework::TensorSource& base,
                                         const framework::TensorSource& began, const std::set<std::string>& changed) {
  std::vector<parallel::Parameter> all, differing;
  for (const parallel::Parameter& parameter : model.parameters().all()) {
    const std::string& name = parameter.spec.name;
    if (!kit.table().find(name)) continue;  // a method's own
    const auto digest = base.digest(name);
    at::Tensor value = parameter.value.detach();
    if (changed.contains(name) || !digest || digest != began.digest(name)) {
      value = at::empty_like(value);
      differing.push_back({parameter.spec, value});
    }
    all.push_back({parameter.spec, std::move(value)});
  }
  if (!differing.empty()) {
    parallel::ParameterSet read(std::move(differing));  // shares its memory with `all`
    parallel::ShardedStore::read(base, model.mesh(), read);
  }
  return std::make_unique<models::Lmm>(model.config(), model.mesh(), model.partition(), kit.table(), parallel::ParameterSet(std::move(all)),
                                       models::LmmOptions{.recompute_activations = false, .features = model.options().features});
}

}  // namespace retain::recipes
