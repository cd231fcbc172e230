// SPDX-License-Identifier: Apache-2.0
// The log of a run: JSON lines, one an optimizer step. A resumed run drops the lines past the durable step and appends. Several
// groups of one run write one file in turns.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "framework/store/store_lock.h"

namespace retain::recipes {

/// One optimizer step.
struct StepRecord {
  std::int64_t step = 0;        ///< from 0 in its curriculum stage
  double loss = 0;              ///< of the global batch, before the update
  double grad_norm = 0;         ///< over all trained parameters, before clipping
  double learning_rate = 0;     ///< of the first group
  std::int64_t tokens = 0;      ///< packed tokens of the global batch, visual ones included
  double seconds = 0;           ///< wall time
  std::int64_t answers = 0;     ///< terms of the loss in the global batch
  std::int64_t samples = 0;     ///< records in the global batch
  bool skipped = false;         ///< a gradient was not finite and nothing was updated
};

class StepLog {
 public:
  /// An empty path logs nothing. `lock`: this process's, where several write the file; it outlives this.
  explicit StepLog(std::filesystem::path file, const framework::StoreLock* lock = nullptr) : file_(std::move(file)), lock_(lock) {}

  /// The stage (recipe, task) goes on at `first_step`: its lines from that step on are dropped, whole lines of everything else
  /// stay. Throws Error(io).
  void begin_stage(const std::string& recipe, const std::string& task, std::int64_t first_step);
  void append(const StepRecord& record);

 private:
  std::filesystem::path file_;
  const framework::StoreLock* lock_;
  std::string recipe_;
  std::string task_;
};

}  // namespace retain::recipes
