// SPDX-License-Identifier: Apache-2.0
// Writes one safetensors file whose tensors are known by shape before their values are: the header goes first, then the
// bytes in any order and in pieces, so memory stays bounded. The file appears under its name only when it is whole.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "framework/store/tensor_source.h"
#include "models/weights/safetensors_header.h"

namespace retain::models {

class SafetensorsWriter {
 public:
  /// Creates FILE.partial with its header. Tensors lie in the order Hugging Face's library gives them: wide element
  /// types first, then by name, so the same tensors give the same bytes. Throws Error(io).
  SafetensorsWriter(std::filesystem::path file, const std::vector<framework::TensorInfo>& tensors);
  /// Removes what was not finished.
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter&) = delete;
  SafetensorsWriter& operator=(const SafetensorsWriter&) = delete;

  /// Bytes of a tensor from element `first` on. Throws Error(internal) outside the tensor, Error(io) on a full disk.
  void write(const std::string& name, std::int64_t first, std::span<const std::byte> bytes);
  /// Makes the file durable and gives it its name. Throws Error(internal) unless as many bytes as the tensors have were
  /// written.
  void finish();

 private:
  void put(std::span<const std::byte> bytes, std::int64_t offset);
  std::filesystem::path file_;
  std::filesystem::path partial_;
  std::map<std::string, StoredTensor> tensors_;
  std::int64_t data_offset_ = 0;
  std::int64_t expected_ = 0;
  std::int64_t written_ = 0;
  int descriptor_ = -1;
};

}  // namespace retain::models
