// SPDX-License-Identifier: Apache-2.0
// Where the trainer gets its samples: one per record of a task, built on demand.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "models/lmm/batch.h"

namespace retain::recipes {

class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual std::int64_t size() const = 0;
  /// Record `record` as the model sees it. Without pixels the images' tiles stay undefined, all else is equal (ids, labels,
  /// image sizes and token counts); pipeline stages after the first and the length scan ask for that. Called from one
  /// thread at a time, not always the same. Throws framework::Error for a record that cannot be used.
  virtual models::Sample sample(std::int64_t record, bool with_pixels) const = 0;
  /// "train.json, record 3", for messages.
  virtual std::string where(std::int64_t record) const = 0;
  /// Where the records' lengths are kept (record_lengths.h); empty: nowhere.
  virtual std::filesystem::path lengths() const { return {}; }
};

}  // namespace retain::recipes
