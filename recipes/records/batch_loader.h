// SPDX-License-Identifier: Apache-2.0
// The micro-batches of this rank for every optimizer step, built one step ahead in the background.
#pragma once
#include <cstdint>
#include <future>
#include <optional>
#include <string>
#include <vector>

#include "framework/data/micro_batch.h"
#include "framework/data/sampler.h"
#include "models/lmm/batch.h"
#include "parallel/mesh.h"
#include "recipes/records/record_scan.h"
#include "recipes/records/sample_source.h"
#include "recipes/settings/train_settings.h"

namespace retain::recipes {

/// A global batch as this rank works on it.
struct LoadedBatch {
  std::vector<models::MicroBatch> micro_batches;  ///< of this rank's replica
  std::int64_t samples = 0;                       ///< in the whole global batch
  std::int64_t tokens = 0;                        ///< packed, in the whole global batch
  std::int64_t answers = 0;                       ///< terms of the loss, in the whole global batch
  std::int64_t left_out = 0;                      ///< records whose pictures could not be read
};

class BatchLoader {
 public:
  /// All arguments outlive the loader.
  BatchLoader(const SampleSource& source, const RecordScan& scan, const framework::Sampler& sampler,
              const parallel::Mesh& mesh, const TrainSettings& settings, OnBad bad_records);
  ~BatchLoader();

  /// Slots of the global batch at `cursor` whose samples this rank could not build, known when the batch is ready.
  /// Waits for it. Under OnBad::stop throws the first one's error instead.
  const std::vector<std::int64_t>& wait(const framework::Cursor& cursor);
  /// Packs what wait() made ready, without the slots marked in `left_out` (agreed on by all ranks), and begins with `next`.
  LoadedBatch pack(const std::vector<bool>& left_out, const std::optional<framework::Cursor>& next);
  /// Slots of the global batch that wait() made ready.
  std::int64_t slots() const noexcept { return static_cast<std::int64_t>(ready_.records.size()); }
  /// What a failed slot's error said.
  const std::string& reason(std::size_t failure) const { return ready_.reasons.at(failure); }

 private:
  /// Samples of this rank's micro-batches, not yet packed: how the loss is weighted depends on what all ranks could read.
  struct Prepared {
    framework::Cursor cursor;
    std::vector<std::int64_t> records;
    std::vector<framework::MicroBatch> plan;
    std::vector<std::vector<models::Sample>> samples;
    std::vector<std::int64_t> failed_slots;
    std::vector<std::string> reasons;
  };
  Prepared prepare(const framework::Cursor& cursor) const;

  const SampleSource& source_;
  const RecordScan& scan_;
  const framework::Sampler& sampler_;
  const parallel::Mesh& mesh_;
  const TrainSettings& settings_;
  OnBad bad_records_;
  std::future<Prepared> coming_;
  std::optional<framework::Cursor> coming_cursor_;
  Prepared ready_;
};

}  // namespace retain::recipes
