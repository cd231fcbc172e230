// SPDX-License-Identifier: Apache-2.0
// Opens data files and mixtures, and hands records out one by one.
#include "framework/data/record_set.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "framework/base/json.h"
#include "framework/data/record_file.h"
#include "framework/data/row_records.h"
#include "framework/text/regex.h"

namespace retain::framework {
namespace {

[[noreturn]] void invalid_mixture(const std::filesystem::path& path, std::string what, std::string found) {
  throw Error(ErrorKind::data_invalid,
              {path.string() + ": " + std::move(what),
               "datasets: a list of {json_path: F.json or F.jsonl, sampling_strategy: …, name: …, images: folder}",
               std::move(found), "correct the mixture file"});
}

/// One entry of a mixture's `datasets`.
struct Dataset {
  std::string json_path;
  std::string sampling_strategy = "all";
  std::string images;
};

Dataset dataset_from(const YAML::Node& node, const std::filesystem::path& path, MixtureMode mode) {
  Dataset dataset;
  if (!node.IsMap()) invalid_mixture(path, "an entry of `datasets` is no map", YAML::Dump(node).substr(0, 100));
  for (const auto& item : node) {
    if (!item.first.IsScalar())
      invalid_mixture(path, "a key of `datasets` is no text", YAML::Dump(item.first).substr(0, 100));
    const std::string key = item.first.Scalar();
    const bool known = key == "json_path" || key == "sampling_strategy" || key == "images" || key == "name";
    if (!known && mode == MixtureMode::clean) invalid_mixture(path, "an unknown key of `datasets`", key);
    if (known && !item.second.IsScalar())
      invalid_mixture(path, "`" + key + "` of `datasets` is no text", YAML::Dump(item.second).substr(0, 100));
    if (key == "json_path") dataset.json_path = item.second.Scalar();
    if (key == "sampling_strategy") dataset.sampling_strategy = item.second.Scalar();
    if (key == "images") dataset.images = item.second.Scalar();
  }
  if (dataset.json_path.empty() && mode == MixtureMode::clean)
    invalid_mixture(path, "an entry of `datasets` has no `json_path`", YAML::Dump(node).substr(0, 100));
  return dataset;
}

std::vector<Dataset> datasets_from(const std::filesystem::path& path, MixtureMode mode) {
  std::vector<Dataset> datasets;
  try {
    const YAML::Node root = YAML::Load(read_file(path));
    if (!root.IsMap() || !root["datasets"] || !root["datasets"].IsSequence())
      invalid_mixture(path, "`datasets` is absent or no list", "another form");
    for (const auto& node : root["datasets"]) datasets.push_back(dataset_from(node, path, mode));
  } catch (const YAML::Exception& error) {
    invalid_mixture(path, "not valid YAML", error.what());
  }
  return datasets;
}

/// A file of LLaVA records; a table of another kind needs to be told how.
std::shared_ptr<const RecordSource> open_records(const std::filesystem::path& file, const std::filesystem::path& images_root) {
  const std::string extension = file.extension().string();
  if (extension == ".parquet" || extension == ".tsv" || extension == ".csv" || std::filesystem::is_directory(file))
    throw Error(ErrorKind::data_invalid, {file.string() + " is a table, and nothing says how its rows become records",
                                          "a [source] beside it: prompt, answer, image, options", "none",
                                          "add one (docs/benchmarks.md), or name a LLaVA JSON or JSONL file"});
  return std::make_shared<const RecordFile>(file, images_root);
}

/// `pattern` itself, or the files beside it that fit its `*`, sorted.
std::vector<std::filesystem::path> matching(const std::filesystem::path& pattern) {
  const std::string name = pattern.filename().string();
  if (name.find('*') == std::string::npos) return {pattern};
  std::string expression = "\\A";
  for (const char c : name) expression += c == '*' ? ".*" : Regex::escape(std::string(1, c));
  const Regex regex(expression + "\\z");
  std::vector<std::filesystem::path> found;
  std::error_code code;
  for (const auto& entry : std::filesystem::directory_iterator(pattern.has_parent_path() ? pattern.parent_path() : ".", code))
    if (!regex.search(entry.path().filename().string()).empty()) found.push_back(pattern.parent_path() / entry.path().filename());
  if (found.empty())
    throw Error(ErrorKind::io, {"no file fits " + pattern.string(), "at least one", "none", "correct the path"});
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

std::int32_t RecordSet::open(const std::filesystem::path& file, const RecordSetOptions& options, const std::filesystem::path& images_root) {
  const auto root = images_root.empty() ? file.parent_path() : images_root;
  for (std::size_t i = 0; i < files_.size(); ++i)
    if (files_[i]->file() == file && files_[i]->images_root() == root) return static_cast<std::int32_t>(i);
  if (options.fields)
    files_.push_back(std::make_shared<const RowRecords>(
        file, std::filesystem::is_directory(file) && images_root.empty() ? file : root, *options.fields, cache_));
  else
    files_.push_back(open_records(file, root));
  return static_cast<std::int32_t>(files_.size() - 1);
}

void RecordSet::append_mixture(const std::filesystem::path& path, const RecordSetOptions& options) {
  const auto folder = path.parent_path();
  std::int64_t position = 0;
  for (const Dataset& dataset : datasets_from(path, options.mixture)) {
    const std::string stream = "mixture/" + std::to_string(position++);
    if (dataset.json_path.empty()) continue;
    const auto root = dataset.images.empty() ? options.images : folder / dataset.images;
    const std::int32_t file = open(folder / dataset.json_path, options, root);
    const std::int64_t records = files_[static_cast<std::size_t>(file)]->size();
    for (const auto index : sample_records(dataset.sampling_strategy, records, options.mixture, options.seed, stream))
      entries_.push_back({file, index});
  }
}

RecordSet RecordSet::load(const std::filesystem::path& path, const RecordSetOptions& options) {
  RecordSet set;
  const std::string extension = path.extension().string();
  if (extension == ".yaml" || extension == ".yml") {
    set.append_mixture(path, options);
  } else {
    for (const std::filesystem::path& one : matching(path)) {
      const std::int32_t file = set.open(one, options, options.images);
      const std::int64_t records = set.files_[static_cast<std::size_t>(file)]->size();
      for (std::int64_t index = 0; index < records; ++index) set.entries_.push_back({file, index});
    }
  }
  if (set.entries_.empty())
    throw Error(ErrorKind::data_empty,
                {path.string() + " holds no record", "at least one record", "none", "name a file with records"});
  return set;
}

Record RecordSet::at(std::int64_t i) const {
  const Entry& entry = entries_.at(static_cast<std::size_t>(i));
  return files_[static_cast<std::size_t>(entry.file)]->at(entry.index);
}

json::value RecordSet::json_at(std::int64_t i) const {
  const Entry& entry = entries_.at(static_cast<std::size_t>(i));
  return parse_json(files_[static_cast<std::size_t>(entry.file)]->text(entry.index), where(i), ErrorKind::data_invalid);
}

std::string RecordSet::where(std::int64_t i) const {
  const Entry& entry = entries_.at(static_cast<std::size_t>(i));
  return files_[static_cast<std::size_t>(entry.file)]->where(entry.index);
}

std::string RecordSet::digest() const {
  const std::unique_ptr<XXH3_state_t, XXH_errorcode (*)(XXH3_state_t*)> state(XXH3_createState(), XXH3_freeState);
  if (state == nullptr) throw std::bad_alloc();
  XXH3_128bits_reset(state.get());
  for (const Entry& entry : entries_) {
    const std::string bytes = files_[static_cast<std::size_t>(entry.file)]->text(entry.index);
    // The length keeps two records apart from one that holds both texts.
    std::array<unsigned char, 8> length{};
    for (std::size_t i = 0; i < length.size(); ++i) length[i] = static_cast<unsigned char>(bytes.size() >> (8 * i));
    XXH3_128bits_update(state.get(), length.data(), length.size());
    XXH3_128bits_update(state.get(), bytes.data(), bytes.size());
  }
  const XXH128_hash_t hash = XXH3_128bits_digest(state.get());
  char text[33];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(hash.high64),
                static_cast<unsigned long long>(hash.low64));
  return text;
}

std::vector<std::filesystem::path> RecordSet::files() const {
  std::vector<std::filesystem::path> paths;
  for (const auto& file : files_) paths.push_back(file->file());
  return paths;
}

}  // namespace retain::framework
