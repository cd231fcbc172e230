// SPDX-License-Identifier: Apache-2.0
// A collective as a run of rounds on a channel.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "parallel/comm/group.h"
#include "parallel/comm/operation.h"

namespace retain::parallel {

class RoundOperation : public Operation {
 public:
  bool advance() final;
  std::vector<int> missing() final;

 protected:
  /// `answers`: the operation has a result phase.
  RoundOperation(std::shared_ptr<Group> group, Descriptor descriptor, std::uint64_t rounds, bool answers);

  /// The three steps of the `index`-th round, `round` on the channel.
  virtual void produce(std::uint64_t index, std::uint64_t round) = 0;
  virtual void combine(std::uint64_t index, std::uint64_t round) = 0;
  virtual void consume(std::uint64_t index, std::uint64_t round);
  /// Whether this rank reads from `member` in the input phase.
  virtual bool needs(int member) const;

  Channel& channel() const { return *group_->channel; }
  int rank() const { return group_->rank; }
  int size() const { return group_->size(); }

 private:
  bool step();
  bool all_arrived(std::uint64_t round, Phase phase);
  void check_announcements();

  std::shared_ptr<Group> group_;
  std::uint64_t rounds_;
  std::uint64_t first_;
  bool answers_;
  bool announced_ = false;
  std::vector<bool> agreed_;  // members known to be in the same collective
  std::uint64_t produced_ = 0;
  std::uint64_t combined_ = 0;
  std::uint64_t consumed_ = 0;
};

}  // namespace retain::parallel
