// SPDX-License-Identifier: Apache-2.0
// The usual mistakes of a launch, found from what every rank sees.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace retain::launch {

/// What one rank has to work with.
struct RankPlace {
  std::string host;
  int processors = 1;      ///< logical ones of its host
  int threads = 1;
  std::vector<int> cores;  ///< logical processors it may run on
};

/// What the first rank's machine offers, as far as advice depends on it.
struct SystemFindings {
  std::filesystem::path folder;      ///< where the store would lie
  bool writable = true;
  bool locks = true;                 ///< those of one open file description (fcntl), which the store's one writer takes
  double free_gib = 0;               ///< in the folder
  double shared_memory_gib = 0;      ///< free in /dev/shm
  bool hdf5_with_mpi = true;         ///< the library found at run time
  int batch_tasks = 0;               ///< that Slurm says it gives
  int ranks_here = 1;
  int ranks = 1;
};

/// Of the calling rank, and to and from one line of text.
RankPlace place_of_this_rank();
std::string to_text(const RankPlace& place);
RankPlace place_from(const std::string& text);

/// More threads than processors on a host, a rank bound to fewer processors than it has threads, ranks bound to the same ones.
std::vector<std::string> advice_on_placement(const std::vector<RankPlace>& ranks);
SystemFindings look_at_system(const std::filesystem::path& folder, int ranks_here, int ranks);
/// Shared memory for the ranks of this host, room and locks in the folder, the HDF5 at hand, a batch system's tasks without a launcher.
std::vector<std::string> advice_on_system(const SystemFindings& found);

}  // namespace retain::launch
