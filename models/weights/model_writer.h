// SPDX-License-Identifier: Apache-2.0
// Writes a whole model directory: tensors in one file or in shards with an index, and the small files around them. The
// directory appears under its name only when everything in it is whole.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/store/tensor_source.h"
#include "models/weights/safetensors_writer.h"

namespace retain::models {

/// The small files of a model directory (configuration, tokenizer, processor, licence): relative name -> bytes.
using SmallFiles = std::map<std::string, std::string>;

/// Those of `directory` whose names are a model's, up to 64 MiB each, with the folder that `mm_vision_tower` names
/// where that lies inside. Throws Error(io).
SmallFiles read_small_files(const std::filesystem::path& directory);

class ModelWriter {
 public:
  /// `tensors` carry the names of the files to be; shards are filled in their order, up to `shard_bytes` each, and a
  /// model that fits into one is model.safetensors. Throws Error(usage) when `directory` exists and is not empty,
  /// Error(io).
  ModelWriter(std::filesystem::path directory, std::vector<framework::TensorInfo> tensors, std::int64_t shard_bytes);
  /// Removes what was not finished.
  ~ModelWriter();
  ModelWriter(const ModelWriter&) = delete;
  ModelWriter& operator=(const ModelWriter&) = delete;

  /// Bytes of a tensor from element `first` on. All of one shard's tensors come before those of the next.
  void write(const std::string& name, std::int64_t first, std::span<const std::byte> bytes);
  /// Writes the small files and the index, and gives the directory its name.
  void finish(const SmallFiles& files);

 private:
  void open_shard(std::size_t shard);
  std::filesystem::path directory_;
  std::filesystem::path partial_;
  std::vector<std::vector<framework::TensorInfo>> shards_;
  std::map<std::string, std::size_t> shard_of_;
  std::unique_ptr<SafetensorsWriter> writer_;
  std::size_t opened_ = 0;  ///< shards opened so far; the last of them is writer_'s
  bool finished_ = false;
};

}  // namespace retain::models
