// SPDX-License-Identifier: Apache-2.0
// Weights from a model directory as people have them, under canonical names.
#pragma once
#include <atomic>
#include <filesystem>
#include <map>

#include "framework/store/tensor_source.h"
#include "models/lmm/config.h"
#include "models/weights/name_map.h"
#include "models/weights/safetensors.h"

namespace retain::models {

class DirectorySource final : public framework::TensorSource {
 public:
  /// Finds out which naming the directory uses by comparing with the names that `config` calls for.
  /// Throws what SafetensorsDirectory throws.
  DirectorySource(const std::filesystem::path& directory, const LmmConfig& config);

  /// Those that have a canonical name, in the order of the parameter table.
  const std::vector<framework::TensorInfo>& tensors() const override { return tensors_; }
  void read(const std::string& name, std::int64_t first, std::span<std::byte> out) const override;
  /// Copies only the slice's own bytes.
  void read_slice(const std::string& name, std::size_t dimension, std::int64_t begin, std::int64_t end,
                  std::span<std::byte> out) const override;
  std::string describe(const std::string& name) const override;
  std::vector<std::string> surplus() const override { return surplus_; }

  const Naming& naming() const { return *naming_; }
  const SafetensorsDirectory& files() const { return files_; }
  std::int64_t bytes_read() const override { return bytes_read_; }

 private:
  /// The name in the files. Throws Error(checkpoint_missing_tensor).
  const std::string& stored(const std::string& name) const;
  std::filesystem::path directory_;
  SafetensorsDirectory files_;
  const Naming* naming_;
  std::map<std::string, std::string> stored_;  ///< canonical -> name in the files
  std::vector<framework::TensorInfo> tensors_;
  std::vector<std::string> surplus_;
  mutable std::atomic<std::int64_t> bytes_read_{0};
};

}  // namespace retain::models
