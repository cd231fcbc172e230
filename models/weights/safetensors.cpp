// SPDX-License-Identifier: Apache-2.0
#include "models/weights/safetensors.h"

#include <ATen/ATen.h>

#include <set>
#include <utility>

#include "framework/base/error.h"
#include "framework/base/json.h"

namespace retain::models {

namespace json = framework::json;
using framework::DType;
using framework::Error;
using framework::ErrorKind;

namespace {

/// tensor name -> shard file name.
std::map<std::string, std::string> read_index(const std::filesystem::path& file) {
  const auto malformed = [&](const char* found) {
    return Error(ErrorKind::checkpoint_header_invalid,
                 {file.string() + " is not an index of shards", "an object weight_map from tensor to file name", found,
                  "download the file again"});
  };
  const json::value document = framework::read_json(file, ErrorKind::checkpoint_header_invalid);
  const json::object* top = document.if_object();
  const json::value* map = top ? top->if_contains("weight_map") : nullptr;
  if (!map || !map->is_object()) throw malformed("no weight_map");
  std::map<std::string, std::string> index;
  for (const auto& [tensor, shard] : map->get_object()) {
    if (!shard.is_string()) throw malformed("a file name that is not a string");
    const std::filesystem::path name(std::string(shard.get_string()));
    if (name.empty() || name.is_absolute() || name.filename() != name)
      throw malformed("a shard outside the model's folder");
    index.emplace(tensor, name.string());
  }
  if (index.empty()) throw malformed("an empty weight_map");
  return index;
}

}  // namespace

SafetensorsFile::SafetensorsFile(std::filesystem::path path)
    : path_(std::move(path)), map_(path_), header_(parse_safetensors_header(map_.bytes(), path_.string())) {}

std::span<const std::byte> SafetensorsFile::bytes(const StoredTensor& tensor) const {
  return map_.bytes().subspan(static_cast<std::size_t>(header_.data_offset + tensor.begin),
                              static_cast<std::size_t>(tensor.end - tensor.begin));
}

void SafetensorsFile::read(const StoredTensor& tensor, std::int64_t first, std::span<std::byte> out) const {
  map_.read(static_cast<std::uint64_t>(header_.data_offset + tensor.begin + first), out);
}

void SafetensorsFile::expect(const StoredTensor& tensor) const noexcept {
  map_.expect(static_cast<std::uint64_t>(header_.data_offset + tensor.begin),
              static_cast<std::uint64_t>(tensor.end - tensor.begin));
}

void SafetensorsDirectory::add(const std::filesystem::path& file) {
  files_.push_back(std::make_unique<SafetensorsFile>(file));
  for (const auto& [name, tensor] : files_.back()->header().tensors)
    if (const auto [at, added] = places_.emplace(name, Place{files_.back().get(), &tensor}); !added)
      throw Error(ErrorKind::checkpoint_surplus_tensor,
                  {"two shards hold tensor " + name, "one", at->second.file->path().string() + " and " + file.string(),
                   "remove the shard that the index does not name"});
}

SafetensorsDirectory SafetensorsDirectory::of_file(const std::filesystem::path& file) {
  SafetensorsDirectory directory;
  directory.add(file);
  return directory;
}

SafetensorsDirectory::SafetensorsDirectory(const std::filesystem::path& directory) {
  const std::filesystem::path single = directory / "model.safetensors";
  const std::filesystem::path index_file = directory / "model.safetensors.index.json";
  if (!std::filesystem::exists(index_file)) {
    if (!std::filesystem::exists(single))
      throw Error(ErrorKind::io,
                  {directory.string() + " holds no weights", "model.safetensors or model.safetensors.index.json",
                   "neither", "name a Hugging Face model directory with safetensors files"});
    add(single);
    return;
  }
  const std::map<std::string, std::string> index = read_index(index_file);
  std::set<std::string> shards;
  for (const auto& [tensor, shard] : index) shards.insert(shard);
  for (const std::string& shard : shards)
    if (!std::filesystem::exists(directory / shard))
      throw Error(ErrorKind::checkpoint_missing_shard,
                  {"shard " + shard + " of " + directory.string() + " is missing",
                   std::to_string(shards.size()) + " shards, as the index says", "no such file", "download the shard"});
  for (const std::string& shard : shards) add(directory / shard);
  for (const auto& [tensor, shard] : index) {
    const auto found = places_.find(tensor);
    if (found == places_.end() || found->second.file->path().filename() != shard)
      throw Error(ErrorKind::checkpoint_missing_tensor,
                  {"tensor " + tensor + " is missing from " + (directory / shard).string(),
                   "the tensor, as " + index_file.filename().string() + " says", "a shard without it",
                   "download the shard and the index again"});
  }
  for (const auto& [name, where] : places_)
    if (!index.contains(name))
      throw Error(ErrorKind::checkpoint_surplus_tensor,
                  {where.file->path().string() + " holds tensor " + name + ", which the index does not name", "", "",
                   "download the shard and the index again"});
}

std::vector<std::string> SafetensorsDirectory::names() const {
  std::vector<std::string> names;
  for (const auto& [name, where] : places_) names.push_back(name);
  return names;
}

const StoredTensor* SafetensorsDirectory::find(const std::string& name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : found->second.tensor;
}

const SafetensorsDirectory::Place& SafetensorsDirectory::place(const std::string& name) const {
  const auto found = places_.find(name);
  if (found == places_.end()) throw Error(ErrorKind::checkpoint_missing_tensor, "there is no tensor " + name);
  return found->second;
}

const std::filesystem::path& SafetensorsDirectory::file_of(const std::string& name) const {
  return place(name).file->path();
}

std::span<const std::byte> SafetensorsDirectory::bytes(const std::string& name) const {
  const Place& where = place(name);
  return where.file->bytes(*where.tensor);
}

at::Tensor SafetensorsDirectory::read(const std::string& name) const {
  const Place& where = place(name);
  at::Tensor copy = at::empty(where.tensor->shape, at::TensorOptions().dtype(scalar_type_of(where.tensor->dtype)));
  where.file->read(*where.tensor, 0, {static_cast<std::byte*>(copy.data_ptr()), copy.nbytes()});
  return copy;
}

at::ScalarType scalar_type_of(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return at::kFloat;
    case DType::bfloat16:
      return at::kBFloat16;
    case DType::float16:
      return at::kHalf;
    case DType::float64:
      return at::kDouble;
    case DType::int64:
      return at::kLong;
    case DType::int32:
      return at::kInt;
    case DType::int16:
      return at::kShort;
    case DType::int8:
      return at::kChar;
    case DType::uint8:
      return at::kByte;
    case DType::boolean:
      return at::kBool;
  }
  throw Error(ErrorKind::internal, "an element type outside its enumeration");
}

DType dtype_of(at::ScalarType type) {
  for (const DType dtype : {DType::float32, DType::bfloat16, DType::float16, DType::float64, DType::int64, DType::int32,
                            DType::int16, DType::int8, DType::uint8, DType::boolean})
    if (scalar_type_of(dtype) == type) return dtype;
  throw Error(ErrorKind::internal, "a tensor of an element type that Retain has no name for");
}

}  // namespace retain::models
