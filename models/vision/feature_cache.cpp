// SPDX-License-Identifier: Apache-2.0
#include "models/vision/feature_cache.h"

#include "models/vision/feature_files.h"

namespace retain::models {

FeatureCache::FeatureCache(FeatureCacheLimits limits) : limits_(std::move(limits)) {
  if (!limits_.folder.empty() && limits_.folder_bytes > 0)
    files_ = std::make_unique<FeatureFiles>(limits_.folder, limits_.folder_bytes);
}

FeatureCache::~FeatureCache() = default;

std::optional<at::Tensor> FeatureCache::find(const std::string& key) {
  const auto found = index_.find(key);
  if (found != index_.end()) {
    ++hits_;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->features;
  }
  std::optional<at::Tensor> stored = files_ ? files_->read(key) : std::nullopt;
  ++(stored ? hits_ : misses_);
  if (stored) remember(key, *stored);
  return stored;
}

void FeatureCache::insert(const std::string& key, const at::Tensor& features) {
  if (!index_.contains(key)) remember(key, features.detach().contiguous());
}

void FeatureCache::remember(const std::string& key, const at::Tensor& features) {
  entries_.push_front({key, features});
  index_[key] = entries_.begin();
  bytes_ += static_cast<std::int64_t>(features.nbytes());
  while (bytes_ > limits_.memory_bytes && !entries_.empty()) {
    const Entry& oldest = entries_.back();
    if (files_) files_->write(oldest.key, oldest.features);
    bytes_ -= static_cast<std::int64_t>(oldest.features.nbytes());
    index_.erase(oldest.key);
    entries_.pop_back();
  }
}

}  // namespace retain::models
