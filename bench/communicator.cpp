// SPDX-License-Identifier: Apache-2.0
// Time of a collective by size: Retain through shared memory and through messages, plain MPI, and one thread's memcpy.
//   mpirun -np 2 build/.../bench_communicator [ranks' largest bytes]
// "Bytes" are those of the whole vector: all_reduce's tensor, all_gather's output, reduce_scatter's input.
#include <ATen/ATen.h>
#include <mpi.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "parallel/comm/mpi_communicator.h"
#include "parallel/comm/mpi_session.h"

namespace {

using retain::parallel::Communicator;

constexpr std::int64_t smallest_bytes = 1024;
constexpr std::int64_t default_largest_bytes = std::int64_t{64} << 20;

int repetitions(std::int64_t bytes) {
  return bytes <= 65536 ? 300 : bytes <= (1 << 20) ? 100 : 15;
}

struct Timing {
  double median_us;
  double best_us;
};

Timing measure(const std::function<void()>& call, const std::function<void()>& barrier, int count) {
  for (int i = 0; i < 3; ++i) call();
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    barrier();
    const double start = MPI_Wtime();
    call();
    times.push_back((MPI_Wtime() - start) * 1e6);
  }
  std::sort(times.begin(), times.end());
  return {times[times.size() / 2], times.front()};
}

struct Row {
  std::string operation;
  std::vector<std::function<void()>> variants;  // shared memory, messages, plain MPI, memcpy
};

void report(const Row& row, std::int64_t bytes, Communicator& shared) {
  std::string line = "| " + std::to_string(bytes) + " | " + row.operation;
  for (const auto& call : row.variants) {
    const Timing timing = measure(
        call, [&] { shared.barrier(); }, repetitions(bytes));
    char cell[80];
    std::snprintf(cell, sizeof(cell), " | %.1f (%.1f) [%.1f]", timing.median_us, timing.best_us,
                  static_cast<double>(bytes) / timing.median_us / 1e3);
    line += cell;
  }
  if (shared.rank() == 0) std::printf("%s |\n", line.c_str());
}

void run_size(std::int64_t bytes, Communicator& shared, Communicator& messages) {
  const std::int64_t elements = bytes / 4 / shared.size() * shared.size();
  at::Tensor whole = at::ones({elements});
  at::Tensor part = at::ones({elements / shared.size()});
  at::Tensor target = at::ones({elements});
  const int count = static_cast<int>(elements);
  const int part_count = static_cast<int>(part.numel());
  const std::function<void()> copy = [&] { std::memcpy(target.data_ptr(), whole.data_ptr(), whole.nbytes()); };
  const int peer = shared.rank() ^ 1;
  const bool paired = peer < shared.size();
  const auto exchange = [&](Communicator& group) {
    if (!paired) return;
    auto sent = group.send_async(whole, peer, 0);
    group.receive_async(target, peer, 0)->wait();
    sent->wait();
  };

  report({"all_reduce",
          {[&] { shared.all_reduce(whole); }, [&] { messages.all_reduce(whole); },
           [&] { MPI_Allreduce(MPI_IN_PLACE, whole.data_ptr(), count, MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD); }, copy}},
         bytes, shared);
  whole.fill_(1);
  report({"all_gather",
          {[&] { shared.all_gather(whole, part); }, [&] { messages.all_gather(whole, part); },
           [&] {
             MPI_Allgather(part.data_ptr(), part_count, MPI_FLOAT, whole.data_ptr(), part_count, MPI_FLOAT,
                           MPI_COMM_WORLD);
           },
           copy}},
         bytes, shared);
  report({"reduce_scatter",
          {[&] { shared.reduce_scatter(part, whole); }, [&] { messages.reduce_scatter(part, whole); },
           [&] {
             MPI_Reduce_scatter_block(whole.data_ptr(), part.data_ptr(), part_count, MPI_FLOAT, MPI_SUM,
                                      MPI_COMM_WORLD);
           },
           copy}},
         bytes, shared);
  report({"exchange of a pair",
          {[&] { exchange(shared); }, [&] { exchange(messages); },
           [&] {
             if (!paired) return;
             MPI_Sendrecv(whole.data_ptr(), count, MPI_FLOAT, peer, 0, target.data_ptr(), count, MPI_FLOAT, peer, 0,
                          MPI_COMM_WORLD, MPI_STATUS_IGNORE);
           },
           copy}},
         bytes, shared);
}

}  // namespace

int main(int argc, char** argv) {
  retain::parallel::MpiSession session(&argc, &argv);
  const std::int64_t largest = argc > 1 ? std::atoll(argv[1]) : default_largest_bytes;
  try {
    const auto shared = session.open_world();
    const auto messages = session.open_world({.shared_memory = false});
    if (shared->size() == 1) throw std::runtime_error("start this under mpirun with at least 2 ranks");
    if (shared->rank() == 0) {
      std::printf("%d ranks, float32: median us (best us) [GB/s of the whole vector]\n\n", shared->size());
      std::printf("| bytes | operation | Retain, shared memory | Retain, messages | plain MPI | memcpy, 1 thread |\n");
      std::printf("|---|---|---|---|---|---|\n");
    }
    for (std::int64_t bytes = smallest_bytes; bytes <= largest; bytes *= 4) run_size(bytes, *shared, *messages);
  } catch (const std::exception& error) {
    session.abort_all(error.what());
  }
  return 0;
}
