// SPDX-License-Identifier: Apache-2.0
// Features of a frozen vision tower, computed once per image: the latest used in memory, older ones in a folder, the oldest
// forgotten and recomputed.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

namespace retain::models {

class FeatureFiles;

/// Limits in bytes; 0 turns that level off.
struct FeatureCacheLimits {
  std::int64_t memory_bytes = std::int64_t{1} << 30;
  std::filesystem::path folder;  ///< may be shared by processes; empty: memory only
  std::int64_t folder_bytes = 0;
};

/// Least recently used goes first, at both levels. A key must name everything the features depend on.
class FeatureCache {
 public:
  /// Creates the folder. Throws Error(io) when that fails.
  explicit FeatureCache(FeatureCacheLimits limits);
  ~FeatureCache();

  /// The features stored under `key`, not to be modified; empty when there are none. A damaged file counts as none.
  std::optional<at::Tensor> find(const std::string& key);
  /// Keeps a CPU tensor. Writing to the folder is best effort: a full disk costs only recomputation.
  void insert(const std::string& key, const at::Tensor& features);

  std::int64_t hits() const noexcept { return hits_; }
  std::int64_t misses() const noexcept { return misses_; }
  std::int64_t bytes_in_memory() const noexcept { return bytes_; }

 private:
  struct Entry {
    std::string key;
    at::Tensor features;
  };
  void remember(const std::string& key, const at::Tensor& features);

  FeatureCacheLimits limits_;
  std::list<Entry> entries_;  ///< latest used first
  std::unordered_map<std::string, std::list<Entry>::iterator> index_;
  std::unique_ptr<FeatureFiles> files_;
  std::int64_t bytes_ = 0;
  std::int64_t hits_ = 0;
  std::int64_t misses_ = 0;
};

}  // namespace retain::models
