// SPDX-License-Identifier: Apache-2.0
// What every subcommand is handed: the world of ranks, the log, and whether somebody asked the run to stop.
#pragma once
#include <atomic>
#include <memory>

#include "framework/base/log.h"
#include "parallel/comm/communicator.h"

namespace retain::launch {

class Session {
 public:
  Session(std::shared_ptr<parallel::Communicator> world, bool quiet, const std::atomic<bool>& stop)
      : world_(std::move(world)), log_(world_->rank(), world_->size(), quiet), stop_(&stop) {}

  const std::shared_ptr<parallel::Communicator>& world() const noexcept { return world_; }
  const framework::Log& log() const noexcept { return log_; }
  /// Standard output carries a command's result alone, from rank 0.
  bool is_root() const noexcept { return world_->rank() == 0; }
  /// Set when a signal asked this rank to save and end.
  const std::atomic<bool>& stop() const noexcept { return *stop_; }

 private:
  std::shared_ptr<parallel::Communicator> world_;
  framework::Log log_;
  const std::atomic<bool>* stop_;
};

}  // namespace retain::launch
