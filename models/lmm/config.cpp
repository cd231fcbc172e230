// SPDX-License-Identifier: Apache-2.0
#include "models/lmm/config.h"

#include <algorithm>
#include <string_view>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "models/lmm/config_fields.h"
#include "models/lmm/family.h"

namespace retain::models {

namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;

namespace {

std::string supported() {
  std::vector<std::string_view> names;
  for (const Family* family : families())
    for (const ConfigStyle& style : family->styles)
      if (std::find(names.begin(), names.end(), style.architecture) == names.end()) names.push_back(style.architecture);
  std::string list;
  for (const std::string_view name : names) list += (list.empty() ? "" : ", ") + std::string(name);
  return list;
}

LmmConfig read_fields(const ConfigFields& fields, const std::filesystem::path& directory) {
  std::string_view key = "architectures";
  std::string wanted;
  if (const json::value* list = fields.value(key)) {
    const json::array* names = list->if_array();
    if (!names || names->empty() || !names->front().is_string()) fields.refuse(key, "a list of strings");
    wanted = names->front().get_string();
  } else {
    key = "model_type";
    wanted = fields.text(key, std::nullopt);
  }
  for (const Family* family : families())
    for (const ConfigStyle& style : family->styles) {
      if (wanted != (key == "architectures" ? style.architecture : style.model_type)) continue;
      if (style.accepts && !style.accepts(fields)) continue;
      LmmConfig config = style.read(fields, directory);
      config.family = family->name;
      return config;
    }
  throw Error(ErrorKind::config_unsupported, {fields.file() + ": " + std::string(key) + " names an unsupported model",
                                              supported(), wanted, "use a model of one of these architectures"});
}

}  // namespace

LmmConfig read_config_file(const std::filesystem::path& file) {
  const json::value document = framework::read_json(file);
  const json::object* object = document.if_object();
  if (!object)
    throw Error(ErrorKind::config_invalid, {file.string() + " is not a configuration", "a JSON object",
                                            std::string(json::to_string(document.kind())), "download the file again"});
  const ConfigFields fields(*object, file.string(), "");
  return read_fields(fields, file.parent_path());
}

LmmConfig read_config(const std::filesystem::path& directory) {
  const std::filesystem::path file = directory / "config.json";
  if (!std::filesystem::exists(file))
    throw Error(ErrorKind::io,
                {directory.string() + " holds no config.json", "a Hugging Face model directory",
                 std::filesystem::is_directory(directory) ? "a folder without that file" : "no such folder",
                 "name the folder that holds config.json and the safetensors files"});
  LmmConfig config = read_config_file(file);
  const std::filesystem::path generation = directory / "generation_config.json";
  if (!std::filesystem::exists(generation)) return config;
  const json::value settings = framework::read_json(generation);
  if (!settings.is_object()) throw Error(ErrorKind::config_invalid, generation.string() + " is not a JSON object");
  const std::vector<std::int64_t> ends =
      ConfigFields(settings.get_object(), generation.string(), "").integers("eos_token_id");
  if (!ends.empty()) config.eos_tokens = ends;
  return config;
}

}  // namespace retain::models
