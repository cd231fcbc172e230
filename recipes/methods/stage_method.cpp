// SPDX-License-Identifier: Apache-2.0
#include "recipes/methods/stage_method.h"

#include <algorithm>
#include <set>
#include <utility>

#include "framework/base/error.h"
#include "framework/store/pruned.h"

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

constexpr const char* kCarried = "taught_by";  // in a stage's info
constexpr std::size_t kNamed = 3;              // stages that an error lists

/// What was found on the way back from a stage.
struct LookBack {
  json::object teaching;             ///< "stage", "method" and "recipe" of the nearest stage that was taught with a method; or empty
  std::vector<std::string> removed;  ///< by gc, which noted their parents
  std::vector<std::string> lost;     ///< neither in the store nor noted: what was before them nobody knows
};

/// Nearest first, of equally near ones in the order of parents: all parents of a blend or merge hold the same parameters.
LookBack look_back(const framework::Store& store, std::vector<std::string> open) {
  const framework::ParentsOfStages pruned = framework::pruned_stages(store);
  LookBack found;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < open.size(); ++i) {
    const std::string id = open[i];
    if (!seen.insert(id).second) continue;
    if (!store.has_stage(id)) {
      const auto noted = pruned.find(id);
      (noted == pruned.end() ? found.lost : found.removed).push_back(id);
      if (noted != pruned.end()) open.insert(open.end(), noted->second.begin(), noted->second.end());
      continue;
    }
    const framework::Manifest manifest = framework::open_stage_file(store, id)->manifest();
    const json::value* carried = manifest.info.if_contains(kCarried);
    if (const json::value* method = manifest.inputs.if_contains("method"))
      found.teaching = {{"stage", id}, {"method", *method}, {"recipe", manifest.inputs.at("recipe")}};
    else if (carried)
      found.teaching = carried->as_object();
    if (!found.teaching.empty()) return found;
    open.insert(open.end(), manifest.parents.begin(), manifest.parents.end());
  }
  return found;
}

[[noreturn]] void refuse_untaught(const std::string& stage, const LookBack& found) {
  std::vector<std::string> gone;
  for (const std::string& id : found.removed) gone.push_back("stage " + id + ", which gc removed");
  for (const std::string& id : found.lost) gone.push_back("stage " + id + ", which is not in the store");
  if (gone.empty())
    throw Error(ErrorKind::store_invalid, {"stage " + stage + " holds parameters no model has, and nothing says whose they are",
                                           "a stage whose inputs name a method", "none", "use the stage it was made from"});
  std::string list;
  for (std::size_t i = 0; i < std::min(gone.size(), kNamed); ++i) list += (i == 0 ? "" : "; ") + gone[i];
  if (gone.size() > kNamed) list += "; and " + std::to_string(gone.size() - kNamed) + " more";
  throw Error(ErrorKind::store_unknown_stage,
              {"stage " + stage + " holds parameters no model has, and the stages that said whose they are are not in the store",
               "one of the stages it was made from", list,
               "put the file of one of them back into stages/ from a copy of the store, or make the stage again from others"});
}

std::shared_ptr<const Method> make_again(const json::object& teaching, const MethodRegistry& methods) {
  const std::string stage(teaching.at("stage").as_string());
  const json::object& description = teaching.at("method").as_object();
  const std::string name(description.at("method").as_string());
  const std::vector<std::string> known = methods.names();
  if (std::find(known.begin(), known.end(), name) == known.end())
    throw Error(ErrorKind::config_unsupported,
                {"stage " + stage + " was taught with a method this program does not have", "a known method", name,
                 "open it with the program that taught it"});
  const framework::ConfigFile file = framework::ConfigFile::parse(as_toml(description), "stage " + stage);
  const framework::ConfigTable settings = file.root();
  return methods.make(name, {settings, groups_from_json(teaching.at("recipe"))});
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
  const LookBack found = look_back(store, {stage.id()});
  if (found.teaching.empty()) refuse_untaught(stage.id(), found);
  return make_again(found.teaching, methods);
}

json::object carried_teaching(const framework::Store& store, const std::vector<std::string>& stages) {
  json::object teaching = look_back(store, stages).teaching;
  return teaching.empty() ? json::object() : json::object{{kCarried, std::move(teaching)}};
}

}  // namespace retain::recipes
