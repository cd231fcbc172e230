// SPDX-License-Identifier: Apache-2.0
// The life of a process in an MPI job.
#include "parallel/comm/mpi_session.h"

#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <string>
#include <thread>

#include "framework/base/environment.h"
#include "framework/base/error.h"
#include "parallel/comm/mpi_check.h"
#include "parallel/comm/mpi_communicator.h"
#include "parallel/comm/mpi_world.h"
#include "parallel/comm/node_board.h"

namespace retain::parallel {
namespace {

constexpr int failure_code = 1;
constexpr auto time_for_another_nodes_message = std::chrono::seconds(2);  // to reach and end a remote rank
constexpr auto time_to_be_ended = std::chrono::seconds(5);
constexpr unsigned time_to_finalise = 60;  // seconds; everything is done, but a host may be out of reach
constexpr unsigned time_to_abort = 5;      // seconds; MPI_Abort asks the launcher, which may be out of reach

using framework::number_in;

/// Tasks that a launcher says it started; 0 when this process was started by hand.
int launched_tasks() {
  const int by_mpirun =
      std::max({number_in("OMPI_COMM_WORLD_SIZE"), number_in("PMI_SIZE"), number_in("MPI_LOCALNRANKS")});
  if (by_mpirun > 0) return by_mpirun;
  if (std::getenv("PMIX_RANK") != nullptr) return std::max(1, number_in("SLURM_STEP_NUM_TASKS"));
  const int by_slurm = number_in("SLURM_STEP_NUM_TASKS");  // a step of one task may be a shell: nothing to join
  return by_slurm > 1 ? by_slurm : 0;
}

/// One write, so that lines of several ranks do not mix.
void print(const std::string& text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t written = ::write(STDERR_FILENO, rest.data(), rest.size());
    if (written <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::atomic<const NodeBoard*> watched_board{nullptr};

/// A launcher sends SIGTERM to all ranks when one has died, too. Then this rank lives on, until it waits for that one and says so.
void on_terminate(int) {
  const NodeBoard* board = watched_board.load();
  if (board && board->gone_rank() >= 0) return;
  std::signal(SIGTERM, SIG_DFL);
  std::raise(SIGTERM);
}

/// Ends this process where MPI does not within these seconds; 0 takes it back.
void end_in(unsigned seconds) {
  std::signal(SIGALRM, [](int) { std::_Exit(failure_code); });
  ::alarm(seconds);
}

}  // namespace

MpiSession::MpiSession(int* argc, char*** argv) {
  const int tasks = launched_tasks();
  if (tasks == 0) return;
  int provided = 0;
  check_mpi(MPI_Init_thread(argc, argv, MPI_THREAD_SERIALIZED, &provided), "MPI_Init_thread");
  initialised_here_ = true;
  check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
  check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
  check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
  if (size_ == 1 && tasks > 1) {
    throw framework::Error(framework::ErrorKind::communication,
                           {"the launcher and this program's MPI do not know each other",
                            std::to_string(tasks) + " ranks, as the launcher started", "1 rank in each process",
                            "use the mpirun of the MPI that Retain was built with; under Slurm, srun --mpi=pmix"});
  }
  board_ = NodeBoard::create();
  watched_board = board_.get();
  std::signal(SIGTERM, on_terminate);
}

MpiSession::~MpiSession() {
  if (!initialised_here_ || std::uncaught_exceptions() > 0) return;
  std::signal(SIGTERM, SIG_DFL);
  watched_board = nullptr;
  board_.reset();
  end_in(time_to_finalise);
  MPI_Finalize();
  end_in(0);
}

std::shared_ptr<Communicator> MpiSession::open_world(const WatchdogSettings& settings) {
  if (!board_) return parallel::open_world(settings);
  return parallel::open_world(settings, board_);
}

void MpiSession::abort_all(std::string_view message) {
  const std::string text = size_ == 1 ? "retain: " + std::string(message) + "\n"
                                      : "retain: rank " + std::to_string(rank_) + " of " + std::to_string(size_) +
                                            ": " + std::string(message) + "\n";
  if (!initialised_here_) {
    print(text);
    std::_Exit(failure_code);
  }
  if (board_->claim_failure()) {
    // When ranks of several nodes fail alike, the first rank's node speaks and ends the others before they do.
    const auto turn = std::chrono::steady_clock::now() + time_for_another_nodes_message;
    while (!board_->has_first_rank() && !board_->failed_elsewhere() && std::chrono::steady_clock::now() < turn)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    if (!board_->failed_elsewhere()) print(text);
    board_->tell_other_nodes();
  } else {
    std::this_thread::sleep_for(time_to_be_ended);  // the rank that claimed the failure ends this one
  }
  end_in(time_to_abort);
  MPI_Abort(MPI_COMM_WORLD, failure_code);
  std::_Exit(failure_code);
}

}  // namespace retain::parallel
