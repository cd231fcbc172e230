// SPDX-License-Identifier: Apache-2.0
// What every subcommand is handed: the world of ranks, the log, and what a user's own build adds.
#pragma once
#include <memory>

#include "framework/base/log.h"
#include "parallel/comm/communicator.h"
#include "recipes/settings/extras.h"

namespace retain::launch {

class Session {
 public:
  /// `extras` outlives the session.
  Session(std::shared_ptr<parallel::Communicator> world, bool quiet, const recipes::Extras& extras)
      : world_(std::move(world)), log_(world_->rank(), world_->size(), quiet), extras_(&extras) {}

  const std::shared_ptr<parallel::Communicator>& world() const noexcept { return world_; }
  const framework::Log& log() const noexcept { return log_; }
  /// Standard output carries a command's result alone, from rank 0.
  bool is_root() const noexcept { return world_->rank() == 0; }
  /// What experiment files may name beside Retain's own.
  const recipes::Extras& extras() const noexcept { return *extras_; }

 private:
  std::shared_ptr<parallel::Communicator> world_;
  framework::Log log_;
  const recipes::Extras* extras_;
};

}  // namespace retain::launch
