// SPDX-License-Identifier: Apache-2.0
#include "recipes/records/record_lengths.h"

#include <unistd.h>

#include <fstream>

#include "framework/base/json.h"
#include "framework/store/digest.h"
#include "framework/store/results.h"
#include "models/weights/model_writer.h"

namespace retain::recipes {

namespace fs = std::filesystem;
namespace json = framework::json;

fs::path lengths_file(const fs::path& store, const fs::path& model, framework::LabelMode mode, const std::string& records,
                      const std::string& pictures) {
  if (store.empty()) return {};
  json::object files;
  for (const auto& [name, bytes] : models::read_small_files(model))
    files[name] = framework::to_hex(framework::digest_of(std::string_view(bytes)));
  const json::object inputs{{"records", records}, {"pictures", pictures}, {"model", std::move(files)},
                            {"labels", mode == framework::LabelMode::clean ? "clean" : "faithful"}};
  return store / "lengths" / (framework::memo_key("lengths", inputs) + ".json");
}

std::optional<std::vector<RecordSize>> read_lengths(const fs::path& file, std::int64_t records) {
  std::error_code code;
  if (file.empty() || !fs::is_regular_file(file, code)) return std::nullopt;
  try {
    const json::value value = framework::read_json(file);
    const json::array& tokens = value.at("tokens").as_array();
    const json::array& answers = value.at("answers").as_array();
    if (static_cast<std::int64_t>(tokens.size()) != records || answers.size() != tokens.size()) return std::nullopt;
    std::vector<RecordSize> sizes;
    for (std::size_t i = 0; i < tokens.size(); ++i) sizes.push_back({tokens[i].as_int64(), answers[i].as_int64()});
    return sizes;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void write_lengths(const fs::path& file, const std::vector<RecordSize>& sizes) {
  json::array tokens, answers;
  for (const RecordSize& size : sizes) {
    tokens.emplace_back(size.tokens);
    answers.emplace_back(size.answers);
  }
  std::error_code code;
  fs::create_directories(file.parent_path(), code);
  const fs::path fresh = file.string() + "." + std::to_string(::getpid());
  std::ofstream stream(fresh, std::ios::binary);
  stream << json::serialize(json::object{{"tokens", std::move(tokens)}, {"answers", std::move(answers)}});
  stream.close();
  if (stream) fs::rename(fresh, file, code);
  else fs::remove(fresh, code);
}

}  // namespace retain::recipes
