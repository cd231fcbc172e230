// SPDX-License-Identifier: Apache-2.0
// A folder of tensors under string keys with a byte limit, safe with several processes at work in it.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace retain::models {

/// One file per key, "<digest of the key>.features": a text line with key, dtype, shape and digest, then the bytes. Files
/// appear by renaming and are removed oldest use first, so a reader sees a whole file or none.
class FeatureFiles {
 public:
  /// Throws Error(io) when the folder cannot be made.
  FeatureFiles(std::filesystem::path folder, std::int64_t limit_bytes);

  /// Empty when the file is absent, damaged or another key's.
  std::optional<at::Tensor> read(const std::string& key);
  /// Does nothing when the file exists or cannot be written.
  void write(const std::string& key, const at::Tensor& tensor);

 private:
  std::filesystem::path file_of(const std::string& key) const;
  void make_room(std::int64_t wanted);

  std::filesystem::path folder_;
  std::int64_t limit_bytes_;
  std::int64_t bytes_ = 0;   ///< in the folder when last counted, plus what was written since
  std::int64_t written_ = 0;
};

}  // namespace retain::models
