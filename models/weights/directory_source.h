// SPDX-License-Identifier: Apache-2.0
// Weights from a model directory as people have them.
#pragma once
#include <filesystem>
#include <map>

#include "models/lmm/config.h"
#include "models/weights/name_map.h"
#include "models/weights/safetensors.h"
#include "models/weights/source.h"

namespace retain::models {

class DirectorySource final : public WeightSource {
 public:
  /// Finds out which naming the directory uses by comparing with the names that `config` calls for.
  /// Throws what SafetensorsDirectory throws.
  DirectorySource(const std::filesystem::path& directory, const LmmConfig& config);

  std::vector<std::string> names() const override;
  std::optional<TensorInfo> find(const std::string& name) const override;
  at::Tensor read(const std::string& name, int dimension, parallel::Range range) const override;
  std::string describe(const std::string& name) const override;
  std::vector<std::string> surplus() const override { return surplus_; }

  const Naming& naming() const { return *naming_; }
  const SafetensorsDirectory& files() const { return files_; }
  std::int64_t bytes_read() const { return files_.bytes_read(); }

 private:
  std::filesystem::path directory_;
  SafetensorsDirectory files_;
  const Naming* naming_;
  std::map<std::string, std::string> stored_;  ///< canonical -> name in the files
  std::vector<std::string> surplus_;
};

}  // namespace retain::models
