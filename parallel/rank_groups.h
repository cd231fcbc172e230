// SPDX-License-Identifier: Apache-2.0
// The ranks of a job in groups of equal size, each a world of its own that works beside the others.
#pragma once
#include <memory>

#include "parallel/comm/communicator.h"

namespace retain::parallel {

class RankGroups {
 public:
  /// Collective over `all`. Neighbouring ranks are in one group. Throws Error(mesh_invalid) where `count` does not divide
  /// the number of ranks. One group is `all` itself.
  RankGroups(std::shared_ptr<Communicator> all, int count);

  int count() const noexcept { return count_; }
  /// This rank's group, from 0.
  int index() const noexcept { return index_; }
  Communicator& all() const { return *all_; }
  /// This rank's group as a world; named "group N", N from 1, where there are several. What its ranks say they are about to
  /// do (describe_activity) then begins with that name.
  const std::shared_ptr<Communicator>& own() const noexcept { return own_; }

 private:
  int count_;
  int index_;
  std::shared_ptr<Communicator> all_;
  std::shared_ptr<Communicator> own_;
};

/// Ranks of one of `count` groups. Throws as RankGroups does.
int group_size(int ranks, int count);

}  // namespace retain::parallel
