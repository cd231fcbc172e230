// SPDX-License-Identifier: Apache-2.0
#include "models/weights/model_writer.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <utility>

#include "framework/base/error.h"
#include "framework/base/json.h"

namespace retain::models {

namespace fs = std::filesystem;
namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;
using framework::TensorInfo;

namespace {

constexpr std::uintmax_t kLargestSmallFile = std::uintmax_t{64} << 20;

std::string shard_name(std::size_t shard, std::size_t shards) {
  if (shards == 1) return "model.safetensors";
  char name[64];
  std::snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", shard + 1, shards);
  return name;
}

std::vector<std::vector<TensorInfo>> fill_shards(std::vector<TensorInfo> tensors, std::int64_t shard_bytes) {
  std::vector<std::vector<TensorInfo>> shards(1);
  std::int64_t size = 0;
  for (TensorInfo& tensor : tensors) {
    const auto bytes = static_cast<std::int64_t>(tensor.bytes());
    if (!shards.back().empty() && size + bytes > shard_bytes) {
      shards.emplace_back();
      size = 0;
    }
    size += bytes;
    shards.back().push_back(std::move(tensor));
  }
  return shards;
}

/// Files that belong to a model; others that lie in its folder (data, notes) are not taken along.
bool is_small_file(const fs::path& file) {
  const std::string name = file.filename().string();
  for (const char* kept :
       {"config.json", "generation_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
        "merges.txt", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "README.md", "NOTICE"})
    if (name == kept) return true;
  return name.starts_with("LICENSE") || name.starts_with("chat_template.") || name.ends_with("processor_config.json");
}

void collect(const fs::path& folder, const fs::path& below, SmallFiles& files) {
  for (const fs::directory_entry& entry : fs::directory_iterator(folder / below))
    if (entry.is_regular_file() && is_small_file(entry.path()) && entry.file_size() <= kLargestSmallFile)
      files.emplace((below / entry.path().filename()).string(), framework::read_file(entry.path()));
}

void write_file(const fs::path& file, const std::string& bytes) {
  fs::create_directories(file.parent_path());
  std::ofstream stream(file, std::ios::binary);
  stream.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  stream.close();
  if (!stream) throw Error(ErrorKind::io, "cannot write " + file.string());
}

}  // namespace

SmallFiles read_small_files(const fs::path& directory) {
  SmallFiles files;
  if (!fs::is_directory(directory)) throw Error(ErrorKind::io, directory.string() + " is not a folder");
  collect(directory, "", files);
  const auto config = files.find("config.json");
  if (config == files.end()) return files;
  const json::value document = framework::parse_json(config->second, (directory / "config.json").string());
  const json::value* tower = document.is_object() ? document.get_object().if_contains("mm_vision_tower") : nullptr;
  if (!tower || !tower->is_string()) return files;
  const fs::path below = fs::path(std::string(tower->get_string())).lexically_normal();
  const bool inside = below.is_relative() && !below.empty() && *below.begin() != "..";
  if (inside && fs::is_directory(directory / below)) collect(directory, below, files);
  return files;
}

ModelWriter::ModelWriter(fs::path directory, std::vector<TensorInfo> tensors, std::int64_t shard_bytes)
    : directory_(std::move(directory)), shards_(fill_shards(std::move(tensors), shard_bytes)) {
  if (!directory_.has_filename()) directory_ = directory_.parent_path();  // "out/" is "out"
  if (fs::exists(directory_) && !fs::is_empty(directory_))
    throw Error(ErrorKind::usage, {directory_.string() + " is not empty", "a new or empty folder", "files in it",
                                   "name another folder, or remove this one"});
  partial_ = directory_.string() + ".partial-" + std::to_string(::getpid());
  std::error_code code;
  fs::remove_all(partial_, code);
  if (!fs::create_directories(partial_, code) || code)
    throw Error(ErrorKind::io, "cannot create " + partial_.string() + ": " + code.message());
  for (std::size_t shard = 0; shard < shards_.size(); ++shard)
    for (const TensorInfo& tensor : shards_[shard]) shard_of_.emplace(tensor.name, shard);
}

ModelWriter::~ModelWriter() {
  writer_.reset();
  std::error_code ignored;
  if (!finished_) fs::remove_all(partial_, ignored);
}

void ModelWriter::open_shard(std::size_t shard) {
  while (opened_ <= shard) {
    if (writer_) writer_->finish();
    writer_ = std::make_unique<SafetensorsWriter>(partial_ / shard_name(opened_, shards_.size()), shards_[opened_]);
    ++opened_;
  }
}

void ModelWriter::write(const std::string& name, std::int64_t first, std::span<const std::byte> bytes) {
  const auto found = shard_of_.find(name);
  if (found == shard_of_.end() || found->second + 1 < opened_)
    throw Error(ErrorKind::internal, "tensor " + name + " is not one of this shard");
  open_shard(found->second);
  writer_->write(name, first, bytes);
}

void ModelWriter::finish(const SmallFiles& files) {
  open_shard(shards_.size() - 1);
  writer_->finish();
  for (const auto& [name, bytes] : files) write_file(partial_ / name, bytes);
  if (shards_.size() > 1) {
    std::uint64_t total = 0;
    for (const auto& shard : shards_)
      for (const TensorInfo& tensor : shard) total += tensor.bytes();
    json::object map;
    for (const auto& [name, shard] : shard_of_) map[name] = shard_name(shard, shards_.size());
    const json::object index{{"metadata", json::object{{"total_size", total}}}, {"weight_map", std::move(map)}};
    write_file(partial_ / "model.safetensors.index.json", framework::pretty(index));
  }
  std::error_code code;
  fs::rename(partial_, directory_, code);
  if (code) throw Error(ErrorKind::io, "cannot rename " + partial_.string() + ": " + code.message());
  finished_ = true;
}

}  // namespace retain::models
