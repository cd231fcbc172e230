// SPDX-License-Identifier: Apache-2.0
#include "recipes/methods/stage_method.h"

#include <algorithm>

#include "framework/base/error.h"

namespace retain::recipes {

namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;

namespace {

/// describe() has the keys of [recipe.NAME], and JSON's numbers, texts and lists are TOML's.
std::string as_toml(const json::object& description) {
  std::string text;
  for (const auto& [key, value] : description)
    if (key != "method") text += std::string(key) + " = " + json::serialize(value) + "\n";
  return text;
}

std::shared_ptr<const Method> make_again(const json::object& inputs, const std::string& stage, const MethodRegistry& methods) {
  const json::object& description = inputs.at("method").as_object();
  const std::string name(description.at("method").as_string());
  const std::vector<std::string> known = methods.names();
  if (std::find(known.begin(), known.end(), name) == known.end())
    throw Error(ErrorKind::config_unsupported,
                {"stage " + stage + " was taught with a method this program does not have", "a known method", name,
                 "open it with the program that taught it"});
  const framework::ConfigFile file = framework::ConfigFile::parse(as_toml(description), "stage " + stage);
  const framework::ConfigTable settings = file.root();
  return methods.make(name, {settings, groups_from_json(inputs.at("recipe"))});
}

}  // namespace

json::array groups_json(const std::vector<TrainableGroup>& groups) {
  json::array list;
  for (const TrainableGroup& group : groups)
    list.push_back(json::object{{"train", json::value_from(group.patterns)}, {"learning_rate", group.learning_rate}});
  return list;
}

std::vector<TrainableGroup> groups_from_json(const json::value& value) {
  std::vector<TrainableGroup> groups;
  for (const json::value& group : value.as_array())
    groups.push_back({json::value_to<std::vector<std::string>>(group.at("train")), group.at("learning_rate").to_number<double>()});
  return groups;
}

std::shared_ptr<const Method> method_in(const framework::Store& store, const framework::StageReader& stage,
                                        const parallel::ParameterTable& table, const MethodRegistry& methods) {
  const auto& tensors = stage.tensors();
  const bool plain = std::all_of(tensors.begin(), tensors.end(), [&](const auto& tensor) { return table.find(tensor.name) != nullptr; });
  if (plain) return nullptr;
  framework::Manifest manifest = stage.manifest();
  for (std::string id = stage.id();;) {
    if (manifest.inputs.contains("method")) return make_again(manifest.inputs, id, methods);
    if (manifest.parents.empty() || !store.has_stage(manifest.parents.front())) break;
    id = manifest.parents.front();
    manifest = framework::open_stage_file(store, id)->manifest();
  }
  throw Error(ErrorKind::store_invalid, {"stage " + stage.id() + " holds parameters no model has, and nothing says whose they are",
                                         "a stage whose inputs name a method", "none", "use the stage it was made from"});
}

}  // namespace retain::recipes
