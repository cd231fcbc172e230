// SPDX-License-Identifier: Apache-2.0
#include "launch/command/machine_checks.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

namespace retain::launch {
namespace {

constexpr double kSharedMemoryPerRank =
    1.0 / 16;                     // GiB: the channels between a rank and its neighbours, with room to spare
constexpr double kLeastDisk = 1;  // GiB: less holds no stage worth keeping

/// Whether the folder's file system has the locks that the store's one writer takes (fcntl's, of an open file
/// description).
bool has_locks(const std::filesystem::path& folder) {
  std::string name = (folder / "retain-doctor-XXXXXX").string();
  const int file = ::mkstemp(name.data());
  if (file < 0) return false;
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  const bool locked = ::fcntl(file, F_OFD_SETLK, &lock) == 0;
  ::close(file);
  ::unlink(name.c_str());
  return locked;
}

int number_in(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? 0 : static_cast<int>(std::strtol(text, nullptr, 10));
}

}  // namespace

RankPlace place_of_this_rank() {
  RankPlace place;
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  place.host = name.data();
  place.threads = at::get_num_threads();
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0)
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &set)) place.cores.push_back(core);
  return place;
}

std::string to_text(const RankPlace& place) {
  std::ostringstream text;
  text << place.host << ' ' << place.threads;
  for (const int core : place.cores) text << ' ' << core;
  return text.str();
}

RankPlace place_from(const std::string& text) {
  RankPlace place;
  std::istringstream words(text);
  words >> place.host >> place.threads;
  for (int core = 0; words >> core;) place.cores.push_back(core);
  return place;
}

std::vector<std::string> advice_on_placement(const std::vector<RankPlace>& ranks, int processors) {
  std::vector<std::string> advice;
  std::map<std::string, int> threads_on;
  std::map<std::string, std::map<int, std::size_t>> owner_of;
  std::set<std::string> shared;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankPlace& place = ranks[rank];
    threads_on[place.host] += place.threads;
    const int cores = static_cast<int>(place.cores.size());
    if (cores < place.threads && cores < processors)
      advice.push_back("rank " + std::to_string(rank) + " may use " + std::to_string(cores) + " processors but has " +
                       std::to_string(place.threads) +
                       " threads: bind it to as many (mpirun --map-by slot:PE=" + std::to_string(place.threads) +
                       ", srun --cpus-per-task) or set OMP_NUM_THREADS=" + std::to_string(cores));
    if (cores == processors) continue;  // not bound
    for (const int core : place.cores)
      if (!owner_of[place.host].emplace(core, rank).second) shared.insert(place.host);
  }
  for (const auto& [host, threads] : threads_on)
    if (threads > processors)
      advice.push_back(host + " has " + std::to_string(processors) + " processors for " + std::to_string(threads) +
                       " threads of its ranks: start fewer ranks there or set OMP_NUM_THREADS to processors / ranks");
  for (const std::string& host : shared)
    advice.push_back("ranks on " + host +
                     " are bound to the same processors: launch with --bind-to core, or with --bind-to none");
  return advice;
}

std::vector<std::string> advice_on_system(const std::filesystem::path& folder, int ranks_here, int ranks) {
  std::vector<std::string> advice;
  if (ranks_here > 1 && free_gib("/dev/shm") < ranks_here * kSharedMemoryPerRank)
    advice.push_back(
        "/dev/shm has less than 64 MiB for each rank of this host: enlarge it (in a container: --shm-size, or a memory "
        "volume)");
  if (::access(folder.c_str(), W_OK) != 0) {
    advice.push_back("this user may not write in " + folder.string() + ": name another folder for the store");
  } else {
    if (free_gib(folder) < kLeastDisk)
      advice.push_back("less than 1 GiB is free in " + folder.string() + ": name another folder for the store");
    if (!has_locks(folder))
      advice.push_back("the file system of " + folder.string() +
                       " has no locks, by which a store keeps to one writer: Lustre wants -o flock, NFS version 4");
  }
  if (::dlsym(RTLD_DEFAULT, "H5Pset_fapl_mpio") == nullptr)
    advice.push_back(
        "the HDF5 library that was found at run time was built without MPI: put the one that Retain was built with "
        "first");
  const int tasks = std::max(number_in("SLURM_NTASKS"), number_in("SLURM_NPROCS"));
  if (ranks == 1 && tasks > 1)
    advice.push_back("Slurm gives " + std::to_string(tasks) +
                     " tasks, but this is one rank alone: start it with srun --mpi=pmix");
  return advice;
}

double free_gib(const std::filesystem::path& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return 0;
  return static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize) / (1 << 30);
}

}  // namespace retain::launch
