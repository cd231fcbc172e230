// SPDX-License-Identifier: Apache-2.0
// How ranks on other nodes learn at once that a rank has failed: one small message to each, which they look for while
// they wait. The launcher alone may take as long as its grace for saving, or never reach a host.
#pragma once
#include <vector>

#include "parallel/comm/mpi_handle.h"

namespace retain::parallel {

class FailureNotice {
 public:
  /// Collective over all ranks of the job. `nodes`: for every world rank, the node it is on.
  explicit FailureNotice(std::vector<int> nodes);

  /// Tells the ranks of other nodes that this rank has failed. Returns within half a second, whether they hear it or
  /// not.
  void send() noexcept;
  /// World rank that has told of its failure, or -1.
  int arrived() const noexcept;

 private:
  std::vector<int> nodes_;
  int own_ = 0;
  MpiComm comm_;
};

}  // namespace retain::parallel
