// SPDX-License-Identifier: Apache-2.0
// PEFT's files (github.com/huggingface/peft: LoraConfig and save_pretrained).
#include "recipes/methods/peft_files.h"

#include <ATen/ATen.h>

#include <fstream>
#include <map>
#include <optional>
#include <set>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/store/digest.h"
#include "models/weights/load.h"
#include "models/weights/name_map.h"
#include "models/weights/safetensors_writer.h"

namespace retain::recipes {

namespace {

namespace json = framework::json;
namespace fs = std::filesystem;
using framework::Error;
using framework::ErrorKind;

constexpr const char* kSettings = "adapter_config.json";
constexpr const char* kWeights = "adapter_model.safetensors";
constexpr std::string_view kRoot = "base_model.model.";

bool is_adapter(const std::string& name) { return name.ends_with(".lora_A.weight") || name.ends_with(".lora_B.weight"); }

[[noreturn]] void unsupported(const fs::path& file, const std::string& key, const json::value& value) {
  throw Error(ErrorKind::config_unsupported,
              {file.string() + ": " + key + " is not plain LoRA", "bias \"none\", one rank for all layers, no DoRA",
               json::serialize(value), "train the adapter without it, or merge it with PEFT first"});
}

bool is_empty(const json::value& value) {
  if (const json::object* object = value.if_object()) return object->empty();
  if (const json::array* array = value.if_array()) return array->empty();
  return value.is_null() || (value.is_bool() && !value.get_bool());
}

template <typename Number>
Number number_of(const json::object& settings, const char* key, const fs::path& file) {
  const json::value* value = settings.if_contains(key);
  if (value && value->is_number()) return value->to_number<Number>();
  throw Error(ErrorKind::config_invalid, {file.string() + ": " + key + " is missing or no number", "a number",
                                          value ? json::serialize(*value) : "nothing", "use a file that PEFT wrote"});
}

/// PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA take the adapters' start out of the base weights: beside the model's own they add it
/// twice. EVA gives layers ranks of their own.
void require_plain_start(const json::object& settings, const fs::path& file) {
  const json::value* start = settings.if_contains("init_lora_weights");
  if (!start || start->is_null() || start->is_bool()) return;
  if (start->is_string() && (start->as_string() == "gaussian" || start->as_string() == "orthogonal")) return;
  throw Error(ErrorKind::config_unsupported, {file.string() + ": init_lora_weights names a start that goes with other base weights",
                                              "true, false, \"gaussian\" or \"orthogonal\"", json::serialize(*start),
                                              "save it with PEFT's path_initial_model_for_weight_conversion, or merge it with PEFT first"});
}

/// The name among `expected` of a tensor in PEFT's file; empty where it has none.
std::optional<std::string> canonical_name(const models::LmmConfig& config, const std::vector<std::string>& expected,
                                          std::string_view stored) {
  if (!stored.starts_with(kRoot)) return std::nullopt;
  return models::resolve_name(config, expected, stored.substr(kRoot.size()));
}

std::string base_name(const std::string& name) {
  return name.substr(0, name.size() - std::string(".lora_A.weight").size());
}

}  // namespace

PeftSettings read_peft_settings(const fs::path& folder) {
  const fs::path file = folder / kSettings;
  const json::value document = framework::read_json(file);
  const json::object* settings = document.if_object();
  if (!settings)
    throw Error(ErrorKind::config_invalid,
                {file.string() + " is no table", "a JSON object", json::serialize(document).substr(0, 80), ""});
  const json::value* type = settings->if_contains("peft_type");
  if (!type || !type->is_string() || type->as_string() != "LORA")
    throw Error(ErrorKind::config_unsupported, {file.string() + ": peft_type", "\"LORA\"", type ? json::serialize(*type) : "nothing", ""});
  for (const char* key : {"rank_pattern", "alpha_pattern", "use_dora", "lora_bias", "modules_to_save", "fan_in_fan_out",
                          "layer_replication"})
    if (const json::value* value = settings->if_contains(key); value && !is_empty(*value)) unsupported(file, key, *value);
  if (const json::value* bias = settings->if_contains("bias"); bias && (!bias->is_string() || bias->as_string() != "none"))
    unsupported(file, "bias", *bias);
  require_plain_start(*settings, file);
  PeftSettings found;
  found.rank = number_of<std::int64_t>(*settings, "r", file);
  found.alpha = number_of<double>(*settings, "lora_alpha", file);
  if (settings->contains("lora_dropout")) found.dropout = number_of<double>(*settings, "lora_dropout", file);
  const json::value* stabilised = settings->if_contains("use_rslora");
  found.rank_stabilised = stabilised && stabilised->is_bool() && stabilised->get_bool();
  if (found.rank < 1) throw Error(ErrorKind::config_invalid, {file.string() + ": r", "1 or more", std::to_string(found.rank), ""});
  return found;
}

PeftTensors::PeftTensors(const fs::path& folder)
    : file_((folder / kWeights).string()), tensors_(models::SafetensorsDirectory::of_file(file_)), names_(tensors_.names()) {}

void PeftTensors::require_shape(const std::string& stored, const parallel::ParameterSpec& row) const {
  const std::vector<std::int64_t>& shape = tensors_.find(stored)->shape;
  if (shape == row.shape) return;
  throw Error(ErrorKind::checkpoint_shape_mismatch, {file_ + ": " + stored + " does not fit " + row.name, framework::to_string(row.shape),
                                                     framework::to_string(shape), "use an adapter of this model and rank"});
}

void PeftTensors::missing(const std::string& name) const {
  throw Error(ErrorKind::checkpoint_missing_tensor,
              {file_ + " has nothing for " + name, "an adapter for every layer the recipe names",
               std::to_string(names_.size()) + " other tensors", "train with the patterns the adapter was made for"});
}

void PeftTensors::check(const models::LmmConfig& config, const std::vector<parallel::ParameterSpec>& rows) const {
  std::map<std::string, const parallel::ParameterSpec*> wanted;
  std::vector<std::string> expected, surplus;
  for (const parallel::ParameterSpec& row : rows) {
    wanted[row.name] = &row;
    expected.push_back(row.name);
  }
  for (const std::string& stored : names_) {
    const auto name = canonical_name(config, expected, stored);
    const auto row = name ? wanted.find(*name) : wanted.end();
    if (row == wanted.end()) {
      surplus.push_back(stored);
      continue;
    }
    require_shape(stored, *row->second);
    wanted.erase(row);
  }
  if (!wanted.empty()) missing(wanted.begin()->first);
  if (!surplus.empty())
    throw Error(ErrorKind::checkpoint_surplus_tensor,
                {file_ + ": " + surplus.front() + " lies beside no layer the recipe names",
                 "lora_A.weight and lora_B.weight of the recipe's layers, once each",
                 std::to_string(surplus.size()) + " of " + std::to_string(names_.size()) + " tensors have no place",
                 "name their layers in `train` too, or use an adapter of the recipe's layers alone"});
}

at::Tensor PeftTensors::read(const models::LmmConfig& config, const parallel::ParameterSpec& row) const {
  for (const std::string& stored : names_) {
    if (!canonical_name(config, {row.name}, stored)) continue;
    require_shape(stored, row);
    return tensors_.read(stored).to(at::kFloat);
  }
  missing(row.name);
}

std::string peft_digest(const fs::path& folder) {
  framework::DigestStream stream;
  for (const char* name : {kSettings, kWeights}) {
    const std::string bytes = framework::read_file(folder / name);
    stream.add(std::as_bytes(std::span(bytes)));
  }
  return framework::to_hex(stream.finish());
}

void write_peft(const framework::TensorSource& source, const models::LmmConfig& config, const PeftSettings& settings,
                const std::string& base_model, const fs::path& folder) {
  if (fs::exists(folder) && !fs::is_empty(folder))
    throw Error(ErrorKind::usage, {folder.string() + " is not empty", "a new or empty folder", "files", "name another one"});
  const models::Naming& names = models::naming(config, "memory");
  std::vector<framework::TensorInfo> tensors;
  std::set<std::string> modules;
  std::vector<std::pair<std::string, std::string>> pairs;  // canonical, stored
  for (const framework::TensorInfo& tensor : source.tensors()) {
    if (!is_adapter(tensor.name)) continue;
    const std::string stored = names.stored(tensor.name);
    modules.insert(base_name(stored));
    pairs.emplace_back(tensor.name, std::string(kRoot) + stored);
    tensors.push_back(tensor);
    tensors.back().name = pairs.back().second;
  }
  if (tensors.empty())
    throw Error(ErrorKind::usage, {"the stage holds no adapters", "one taught by LoRA with merge = false", "none",
                                   "export it as a model: its adapters are in the weights"});
  fs::create_directories(folder);
  const json::object written{{"peft_type", "LORA"}, {"base_model_name_or_path", base_model}, {"r", settings.rank},
                             {"lora_alpha", settings.alpha}, {"lora_dropout", settings.dropout}, {"bias", "none"},
                             {"use_rslora", settings.rank_stabilised}, {"use_dora", false}, {"fan_in_fan_out", false},
                             {"inference_mode", true}, {"init_lora_weights", true}, {"rank_pattern", json::object()},
                             {"alpha_pattern", json::object()}, {"modules_to_save", nullptr}, {"task_type", nullptr},
                             {"target_modules", json::value_from(std::vector<std::string>(modules.begin(), modules.end()))}};
  std::ofstream(folder / kSettings, std::ios::binary) << framework::pretty(written);
  models::SafetensorsWriter writer(folder / kWeights, tensors);
  for (const auto& [canonical, stored] : pairs) {
    const std::vector<std::byte> bytes = source.read_all(canonical);
    writer.write(stored, 0, bytes);
  }
  writer.finish();
}

}  // namespace retain::recipes
