// SPDX-License-Identifier: Apache-2.0
// What was read last of data files that hold pictures, up to a number of bytes: shared by all files of a set.
#pragma once
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>

namespace retain::framework {

/// May be used from several threads.
class PictureCache {
 public:
  explicit PictureCache(std::int64_t bytes) : limit_(bytes) {}

  /// Null where nothing is kept under `key`.
  std::shared_ptr<const void> find(const std::string& key);
  /// Keeps `part` and lets go of those used longest ago until all fit; the newest is kept however large.
  void keep(std::string key, std::shared_ptr<const void> part, std::int64_t bytes);
  std::int64_t bytes() const;

 private:
  struct Kept {
    std::string key;
    std::shared_ptr<const void> part;
    std::int64_t bytes;
  };
  const std::int64_t limit_;
  mutable std::mutex mutex_;
  std::list<Kept> kept_;  ///< the one used last first
  std::int64_t bytes_ = 0;
};

}  // namespace retain::framework
