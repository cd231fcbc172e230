// SPDX-License-Identifier: Apache-2.0
#include "parallel/rank_groups.h"

#include <utility>

#include "framework/base/error.h"

namespace retain::parallel {

using framework::Error;
using framework::ErrorKind;

int group_size(int ranks, int count) {
  if (count >= 1 && count <= ranks && ranks % count == 0) return ranks / count;
  throw Error(ErrorKind::mesh_invalid,
              {"the ranks cannot be divided into groups of equal size", "a multiple of " + std::to_string(count) + " ranks",
               std::to_string(ranks) + (ranks == 1 ? " rank" : " ranks"),
               "start so many ranks, or set study.concurrent_branches to a number that divides them"});
}

RankGroups::RankGroups(std::shared_ptr<Communicator> all, int count)
    : count_(count), index_(all->rank() / group_size(all->size(), count)), all_(std::move(all)) {
  own_ = count_ == 1 ? all_ : all_->split(index_, all_->rank(), "group " + std::to_string(index_ + 1));
}

}  // namespace retain::parallel
