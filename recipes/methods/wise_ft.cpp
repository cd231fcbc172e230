// SPDX-License-Identifier: Apache-2.0
#include "recipes/methods/wise_ft.h"

#include <map>

#include "framework/store/blend.h"
#include "framework/store/results.h"
#include "parallel/agreement.h"
#include "parallel/sharded_store.h"

namespace retain::recipes {

namespace json = framework::json;

WiseFt::WiseFt(MethodSetup setup)
    : Method(std::move(setup.groups)),
      alpha_(setup.settings.number("alpha", 0.5, 0, 1)),
      anchor_(setup.settings.text("anchor", "previous")) {
  for (const framework::ConfigTable& group : setup.settings.tables("group"))
    blend_groups_.push_back({group.texts("patterns"), group.number("alpha", std::nullopt, 0, 1)});
}

std::function<double(const std::string&)> blend_weights(const std::vector<std::string>& tensors, const std::vector<BlendGroup>& groups,
                                                        double otherwise) {
  std::vector<parallel::ParameterSpec> rows;
  for (const std::string& name : tensors) {
    rows.emplace_back();
    rows.back().name = name;
    rows.back().shape = {1};
  }
  std::vector<TrainableGroup> patterns;
  for (const BlendGroup& group : groups) patterns.push_back({group.patterns, 0});
  std::map<std::string, double> alphas;
  if (!patterns.empty())
    for (const Selected& one : select(parallel::ParameterTable(std::move(rows)), patterns)) alphas[one.name] = groups[one.group].alpha;
  return [alphas = std::move(alphas), otherwise](const std::string& tensor) {
    const auto found = alphas.find(tensor);
    return found == alphas.end() ? otherwise : found->second;
  };
}

std::string WiseFt::anchor_of(parallel::ShardedStore& store, const TaughtStage& stage) const {
  return anchor_ == "previous" ? stage.before : anchor_ == "base" ? stage.base : store.resolve(anchor_);
}

json::object WiseFt::inputs() const {
  json::array groups;
  for (const BlendGroup& group : blend_groups_)
    groups.push_back(json::object{{"patterns", json::value_from(group.patterns)}, {"alpha", group.alpha}});
  return {{"operation", "blend"}, {"formula", "x * first parent + (1 - x) * second parent"}, {"x", alpha_}, {"groups", std::move(groups)}};
}

std::string WiseFt::settled_key(parallel::ShardedStore& store, const TaughtStage& stage) const {
  json::object key_inputs = inputs();
  key_inputs["anchor"] = anchor_of(store, stage);
  key_inputs["taught"] = stage.taught;
  return framework::memo_key("average", key_inputs);
}

std::string WiseFt::settle(parallel::ShardedStore& store, const parallel::Mesh& mesh, const TaughtStage& stage) const {
  const std::string key = settled_key(store, stage);
  if (const auto known = store.get_stage(key)) return *known;
  const std::string anchor = anchor_of(store, stage);
  const std::string averaged = parallel::from_first(mesh.world(), [&] {
    const framework::StageReader taught(store.store(), stage.taught);
    std::vector<std::string> tensors;
    for (const framework::TensorInfo& tensor : taught.tensors()) tensors.push_back(tensor.name);
    return framework::commit_blend(store.store(), store.lock(), anchor, stage.taught,
                                   blend_weights(tensors, blend_groups_, alpha_), inputs());
  });
  store.put_stage(key, averaged);
  return averaged;
}

}  // namespace retain::recipes
