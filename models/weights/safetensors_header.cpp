// SPDX-License-Identifier: Apache-2.0
#include "models/weights/safetensors_header.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "models/weights/json_keys.h"

namespace retain::models {

namespace json = framework::json;
using framework::DType;
using framework::Error;
using framework::ErrorKind;

namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files hold little-endian numbers");
constexpr std::uint64_t kLargestHeader = 100'000'000;  // bytes, the format's own limit
constexpr std::size_t kLengthBytes = 8;

constexpr std::array<std::pair<DType, std::string_view>, 10> kNames{{{DType::float64, "F64"},
                                                                     {DType::float32, "F32"},
                                                                     {DType::float16, "F16"},
                                                                     {DType::bfloat16, "BF16"},
                                                                     {DType::int64, "I64"},
                                                                     {DType::int32, "I32"},
                                                                     {DType::int16, "I16"},
                                                                     {DType::int8, "I8"},
                                                                     {DType::uint8, "U8"},
                                                                     {DType::boolean, "BOOL"}}};

constexpr std::array<std::string_view, 13> kOtherNames{"U16",  "U32",         "U64",        "F8_E4M3", "F8_E5M2",
                                                       "F4",   "F8_E8M0",     "F6_E2M3",    "F6_E3M2", "C64",
                                                       "C128", "F8_E4M3FNUZ", "F8_E5M2FNUZ"};

[[noreturn]] void invalid(const std::string& origin, std::string what, std::string expected, std::string found) {
  throw Error(ErrorKind::checkpoint_header_invalid, {origin + ": " + std::move(what), std::move(expected),
                                                     std::move(found), "download or write the file again"});
}

[[noreturn]] void truncated(const std::string& origin, std::uint64_t needed, std::size_t size) {
  throw Error(ErrorKind::checkpoint_truncated, {origin + " ends before its data", std::to_string(needed) + " bytes",
                                                std::to_string(size) + " bytes", "copy or download the file again"});
}

DType dtype_of(const json::value& value, const std::string& origin, const std::string& tensor) {
  if (!value.is_string()) invalid(origin, "tensor " + tensor + " has no dtype", "a string", json::serialize(value));
  const std::string_view name = value.get_string();
  for (const auto& [dtype, spelling] : kNames)
    if (spelling == name) return dtype;
  if (std::find(kOtherNames.begin(), kOtherNames.end(), name) == kOtherNames.end())
    invalid(origin, "tensor " + tensor + " has an unknown dtype", "one of the format's, such as F32 or BF16",
            std::string(name));
  throw Error(ErrorKind::config_unsupported,
              {origin + ": tensor " + tensor + " has an element type Retain cannot train", "F32, BF16 or F16",
               std::string(name), "convert the checkpoint to bfloat16"});
}

/// A list of integers from 0, or nothing.
std::optional<std::vector<std::int64_t>> sizes_of(const json::value& value) {
  const json::array* list = value.if_array();
  if (!list) return std::nullopt;
  std::vector<std::int64_t> sizes;
  for (const json::value& item : *list) {
    const std::int64_t* number = item.if_int64();
    if (!number || *number < 0) return std::nullopt;
    sizes.push_back(*number);
  }
  return sizes;
}

/// Bytes of shape × dtype, or nothing where that overflows.
std::optional<std::int64_t> bytes_of(const StoredTensor& tensor) {
  std::int64_t bytes = framework::size_of(tensor.dtype);
  for (const std::int64_t size : tensor.shape)
    if (__builtin_mul_overflow(bytes, size, &bytes)) return std::nullopt;
  return bytes;
}

StoredTensor parse_tensor(const json::value& value, const std::string& origin, const std::string& name) {
  const json::object* fields = value.if_object();
  if (!fields || fields->size() != 3 || !fields->contains("dtype") || !fields->contains("shape") ||
      !fields->contains("data_offsets"))
    invalid(origin, "the entry of tensor " + name + " is not a tensor's", "dtype, shape and data_offsets",
            json::serialize(value).substr(0, 200));
  StoredTensor tensor;
  tensor.dtype = dtype_of(fields->at("dtype"), origin, name);
  const auto shape = sizes_of(fields->at("shape"));
  if (!shape)
    invalid(origin, "tensor " + name + " has a senseless shape", "a list of sizes from 0",
            json::serialize(fields->at("shape")).substr(0, 200));
  tensor.shape = *shape;
  const auto offsets = sizes_of(fields->at("data_offsets"));
  if (!offsets || offsets->size() != 2 || offsets->front() > offsets->back())
    invalid(origin, "tensor " + name + " has senseless data_offsets", "[begin, end]",
            json::serialize(fields->at("data_offsets")).substr(0, 200));
  tensor.begin = offsets->front();
  tensor.end = offsets->back();
  const std::optional<std::int64_t> bytes = bytes_of(tensor);
  if (!bytes || *bytes != tensor.end - tensor.begin)
    invalid(origin, "the data_offsets of tensor " + name + " do not match its shape and dtype",
            bytes ? std::to_string(*bytes) + " bytes" : "a size below 2^63 bytes",
            std::to_string(tensor.end - tensor.begin) + " bytes for " + framework::to_string(tensor.shape) + " " +
                std::string(safetensors_name_of(tensor.dtype)));
  return tensor;
}

std::map<std::string, std::string> parse_metadata(const json::value& value, const std::string& origin) {
  std::map<std::string, std::string> metadata;
  const json::object* fields = value.if_object();
  if (!fields)
    invalid(origin, "__metadata__ is malformed", "an object of strings", json::serialize(value).substr(0, 200));
  for (const auto& [key, item] : *fields) {
    if (!item.is_string())
      invalid(origin, "__metadata__ is malformed", "strings", json::serialize(item).substr(0, 200));
    metadata.emplace(key, item.get_string());
  }
  return metadata;
}

/// Every byte of the data part belongs to exactly one tensor.
void check_coverage(const SafetensorsHeader& header, std::size_t file_size, const std::string& origin) {
  std::vector<std::pair<std::int64_t, std::int64_t>> spans;
  for (const auto& [name, tensor] : header.tensors) spans.emplace_back(tensor.begin, tensor.end);
  std::sort(spans.begin(), spans.end());
  std::int64_t covered = 0;
  for (const auto& [begin, end] : spans) {
    if (begin != covered)
      invalid(origin, begin > covered ? "there is a hole between two tensors" : "two tensors overlap",
              "a tensor that begins at byte " + std::to_string(covered), "one at byte " + std::to_string(begin));
    covered = end;
  }
  const auto needed = static_cast<std::uint64_t>(header.data_offset) + static_cast<std::uint64_t>(covered);
  if (needed > file_size) truncated(origin, needed, file_size);
  if (needed < file_size)
    invalid(origin, "bytes follow the last tensor", std::to_string(needed) + " bytes",
            std::to_string(file_size) + " bytes");
}

std::string_view header_text(std::span<const std::byte> file, const std::string& origin) {
  if (file.size() < kLengthBytes) truncated(origin, kLengthBytes, file.size());
  std::uint64_t length = 0;
  std::memcpy(&length, file.data(), kLengthBytes);
  if (length > kLargestHeader)
    invalid(origin, "the header claims to be too long", "at most " + std::to_string(kLargestHeader) + " bytes",
            std::to_string(length));
  if (length > file.size() - kLengthBytes) truncated(origin, kLengthBytes + length, file.size());
  const std::string_view text(reinterpret_cast<const char*>(file.data()) + kLengthBytes, length);
  if (text.empty() || text.front() != '{')
    invalid(origin, "the header is not JSON", "a JSON object", "no '{' at its start");
  return text;
}

}  // namespace

std::string_view safetensors_name_of(DType dtype) {
  for (const auto& [value, name] : kNames)
    if (value == dtype) return name;
  throw Error(ErrorKind::internal, "an element type that safetensors files cannot hold");
}

SafetensorsHeader parse_safetensors_header(std::span<const std::byte> file, const std::string& origin) {
  const std::string_view text = header_text(file, origin);
  const json::value document =
      framework::parse_json(text, "the header of " + origin, ErrorKind::checkpoint_header_invalid);
  if (const std::optional<std::string> twice = repeated_key(text))
    invalid(origin, "the header names a key twice", "unique names", *twice);
  SafetensorsHeader header;
  header.data_offset = static_cast<std::int64_t>(kLengthBytes + text.size());
  for (const auto& [key, value] : document.get_object()) {
    if (key == "__metadata__")
      header.metadata = parse_metadata(value, origin);
    else
      header.tensors.emplace(key, parse_tensor(value, origin, key));
  }
  check_coverage(header, file.size(), origin);
  return header;
}

std::string compose_safetensors_header(const std::vector<std::pair<std::string, StoredTensor>>& tensors,
                                       const std::map<std::string, std::string>& metadata) {
  json::object header;
  if (!metadata.empty()) {
    json::object entries;
    for (const auto& [key, value] : metadata) entries[key] = value;
    header["__metadata__"] = std::move(entries);
  }
  for (const auto& [name, tensor] : tensors)
    header[name] = json::object{{"dtype", safetensors_name_of(tensor.dtype)},
                                {"shape", json::array(tensor.shape.begin(), tensor.shape.end())},
                                {"data_offsets", json::array{tensor.begin, tensor.end}}};
  std::string text = json::serialize(header);
  text.append((8 - text.size() % 8) % 8, ' ');
  const std::uint64_t length = text.size();
  std::string bytes(kLengthBytes, '\0');
  std::memcpy(bytes.data(), &length, kLengthBytes);
  return bytes + text;
}

}  // namespace retain::models
