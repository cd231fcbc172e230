// SPDX-License-Identifier: Apache-2.0
// The tensors of a model directory: model.safetensors, or the shards that model.safetensors.index.json names. Only the
// bytes of a slice that is read are touched.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/base/mapped_file.h"
#include "models/weights/safetensors_header.h"

namespace retain::models {

/// One mapped and checked file.
class SafetensorsFile {
 public:
  /// Throws Error: io, checkpoint_truncated, checkpoint_header_invalid.
  explicit SafetensorsFile(std::filesystem::path path);
  const std::filesystem::path& path() const { return path_; }
  const SafetensorsHeader& header() const { return header_; }
  /// The tensor's bytes; `tensor` is one of header().tensors.
  std::span<const std::byte> bytes(const StoredTensor& tensor) const;
  /// Copies a tensor's bytes from byte `first` of it on; the range lies in the tensor.
  void read(const StoredTensor& tensor, std::int64_t first, std::span<std::byte> out) const;
  /// Asks for a tensor's bytes ahead of their reading.
  void expect(const StoredTensor& tensor) const noexcept;

 private:
  std::filesystem::path path_;
  framework::MappedFile map_;
  SafetensorsHeader header_;
};

/// All files of a directory under one set of names.
class SafetensorsDirectory {
 public:
  /// Throws Error: io (neither file is there), checkpoint_missing_shard, checkpoint_missing_tensor (the index names a
  /// tensor that its shard does not hold), checkpoint_surplus_tensor (a shard holds one the index does not name),
  /// checkpoint_header_invalid (a malformed index), and what SafetensorsFile throws.
  explicit SafetensorsDirectory(const std::filesystem::path& directory);
  /// A single file, whatever its name.
  static SafetensorsDirectory of_file(const std::filesystem::path& file);

  std::vector<std::string> names() const;
  /// Null when there is no such tensor.
  const StoredTensor* find(const std::string& name) const;
  /// The file that holds a tensor.
  const std::filesystem::path& file_of(const std::string& name) const;
  /// All bytes of a tensor, in place.
  std::span<const std::byte> bytes(const std::string& name) const;
  /// A new contiguous tensor of the stored dtype.
  at::Tensor read(const std::string& name) const;

  struct Place {
    const SafetensorsFile* file;
    const StoredTensor* tensor;
  };
  /// Throws Error(checkpoint_missing_tensor).
  const Place& place(const std::string& name) const;

 private:
  SafetensorsDirectory() = default;
  void add(const std::filesystem::path& file);
  std::vector<std::unique_ptr<SafetensorsFile>> files_;
  std::map<std::string, Place> places_;
};

/// torch's element type for ours.
at::ScalarType scalar_type_of(framework::DType dtype);
/// And back. Throws Error(internal) for one we have no name for.
framework::DType dtype_of(at::ScalarType type);

}  // namespace retain::models
