// SPDX-License-Identifier: Apache-2.0
// The life of a process in an MPI job: start, the world of ranks, and an end that takes all ranks along.
#pragma once
#include <memory>
#include <string_view>

#include "parallel/comm/communicator.h"
#include "parallel/comm/watchdog_settings.h"

namespace retain::parallel {

class NodeBoard;

/// Initialises MPI when the process was started by mpirun, mpiexec or srun, and finalises it at the end. A process
/// started by hand never touches MPI: it is a world of one rank. Make one in main(), before any other thread starts.
class MpiSession {
 public:
  /// Throws Error(communication) when MPI cannot start, or when a launcher started several tasks that MPI does not
  /// know.
  MpiSession(int* argc, char*** argv);
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  int rank() const noexcept { return rank_; }
  int size() const noexcept { return size_; }

  /// Collective: the group "world" of all ranks.
  std::shared_ptr<Communicator> open_world(const WatchdogSettings& settings = {});

  /// Ends all ranks with exit code 1 within seconds. The first rank of a node to call prints `message` (prefixed with
  /// its rank) to standard error; ranks that fail in consequence stay quiet. Safe to call while peers wait in
  /// collectives.
  [[noreturn]] void abort_all(std::string_view message);

 private:
  int rank_ = 0;
  int size_ = 1;
  bool initialised_here_ = false;
  std::shared_ptr<NodeBoard> board_;
};

}  // namespace retain::parallel
