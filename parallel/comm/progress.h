// SPDX-License-Identifier: Apache-2.0
// Moves all operations under way forward while any of them is waited for, and is the watchdog of that waiting.
#pragma once
#include <list>
#include <memory>
#include <vector>

#include "parallel/comm/group.h"
#include "parallel/comm/node_board.h"
#include "parallel/comm/operation.h"
#include "parallel/comm/watchdog_settings.h"

namespace retain::parallel {

class Progress {
 public:
  Progress(WatchdogSettings settings, std::shared_ptr<NodeBoard> board);

  /// Adds an operation; it starts at once where it can.
  void start(std::shared_ptr<Operation> operation, const Group& group);
  /// Returns when the operation is finished. Throws Error(communication): a peer did not arrive in time, called another
  /// operation, has failed, or its process has ended.
  void wait(Operation& operation, const Group& group);
  NodeBoard& board() const { return *board_; }

 private:
  bool advance_all();
  [[noreturn]] void give_up(Operation& operation, const Group& group) const;
  void check_peers() const;
  void check_processes(const Operation& operation, const Group& group) const;
  void tell_whom(Operation& operation, const Group& group);
  std::vector<int> awaited(Operation& operation, const Group& group) const;

  WatchdogSettings settings_;
  std::shared_ptr<NodeBoard> board_;
  bool crowded_;  // more ranks than processors: waiting must not spin
  std::list<std::shared_ptr<Operation>> pending_;
};

}  // namespace retain::parallel
