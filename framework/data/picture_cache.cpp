// SPDX-License-Identifier: Apache-2.0
#include "framework/data/picture_cache.h"

#include <utility>

namespace retain::framework {

std::shared_ptr<const void> PictureCache::find(const std::string& key) {
  const std::lock_guard lock(mutex_);
  for (auto kept = kept_.begin(); kept != kept_.end(); ++kept) {
    if (kept->key != key) continue;
    kept_.splice(kept_.begin(), kept_, kept);
    return kept_.front().part;
  }
  return nullptr;
}

void PictureCache::keep(std::string key, std::shared_ptr<const void> part, std::int64_t bytes) {
  const std::lock_guard lock(mutex_);
  while (!kept_.empty() && bytes_ + bytes > limit_) {
    bytes_ -= kept_.back().bytes;
    kept_.pop_back();
  }
  kept_.push_front({std::move(key), std::move(part), bytes});
  bytes_ += bytes;
}

std::int64_t PictureCache::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

}  // namespace retain::framework
