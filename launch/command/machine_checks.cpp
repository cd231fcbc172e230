// SPDX-License-Identifier: Apache-2.0
#include "launch/command/machine_checks.h"

#include <ATen/Parallel.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <thread>

#include "framework/base/environment.h"

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

/// GiB that a file system can still take; 0 where it does not say.
double free_gib(const std::filesystem::path& folder) {
  struct statvfs info {};
  if (::statvfs(folder.c_str(), &info) != 0) return 0;
  return static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize) / (1 << 30);
}

}  // namespace

RankPlace place_of_this_rank() {
  RankPlace place;
  std::array<char, 256> name{};
  ::gethostname(name.data(), name.size() - 1);
  place.host = name.data();
  place.processors = static_cast<int>(std::thread::hardware_concurrency());
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
  text << place.host << ' ' << place.processors << ' ' << place.threads;
  for (const int core : place.cores) text << ' ' << core;
  return text.str();
}

RankPlace place_from(const std::string& text) {
  RankPlace place;
  std::istringstream words(text);
  words >> place.host >> place.processors >> place.threads;
  for (int core = 0; words >> core;) place.cores.push_back(core);
  return place;
}

std::vector<std::string> advice_on_placement(const std::vector<RankPlace>& ranks) {
  std::vector<std::string> advice;
  std::map<std::string, int> threads_on, processors_of;
  std::map<std::string, std::map<int, std::size_t>> owner_of;
  std::set<std::string> shared;
  for (std::size_t rank = 0; rank < ranks.size(); ++rank) {
    const RankPlace& place = ranks[rank];
    threads_on[place.host] += place.threads;
    processors_of[place.host] = place.processors;
    const int cores = static_cast<int>(place.cores.size());
    if (cores < place.threads && cores < place.processors)
      advice.emplace_back("rank " + std::to_string(rank) + " may use " + std::to_string(cores) + " processors but has " +
                       std::to_string(place.threads) +
                       " threads: bind it to as many (mpirun --map-by slot:PE=" + std::to_string(place.threads) +
                       ", srun --cpus-per-task) or set OMP_NUM_THREADS=" + std::to_string(cores));
    if (cores == place.processors) continue;  // not bound
    for (const int core : place.cores)
      if (!owner_of[place.host].emplace(core, rank).second) shared.insert(place.host);
  }
  for (const auto& [host, threads] : threads_on)
    if (const int processors = processors_of[host]; threads > processors)
      advice.push_back(host + " has " + std::to_string(processors) + " processors for " + std::to_string(threads) +
                       " threads of its ranks: start fewer ranks there or set OMP_NUM_THREADS to processors / ranks");
  for (const std::string& host : shared)
    advice.emplace_back("ranks on " + host +
                     " are bound to the same processors: launch with --bind-to core, or with --bind-to none");
  return advice;
}

SystemFindings look_at_system(const std::filesystem::path& folder, int ranks_here, int ranks) {
  SystemFindings found;
  found.folder = folder;
  found.writable = ::access(folder.c_str(), W_OK) == 0;
  found.locks = found.writable && has_locks(folder);
  found.free_gib = free_gib(folder);
  found.shared_memory_gib = free_gib("/dev/shm");
  found.hdf5_with_mpi = ::dlsym(RTLD_DEFAULT, "H5Pset_fapl_mpio") != nullptr;
  found.batch_tasks = std::max(framework::number_in("SLURM_NTASKS"), framework::number_in("SLURM_NPROCS"));
  found.ranks_here = ranks_here;
  found.ranks = ranks;
  return found;
}

std::vector<std::string> advice_on_system(const SystemFindings& found) {
  std::vector<std::string> advice;
  const std::string folder = found.folder.string();
  if (found.ranks_here > 1 && found.shared_memory_gib < found.ranks_here * kSharedMemoryPerRank)
    advice.emplace_back(
        "/dev/shm has less than 64 MiB for each rank of this host: enlarge it (in a container: --shm-size, or a memory "
        "volume)");
  if (!found.writable) {
    advice.emplace_back("this user may not write in " + folder + ": name another folder for the store");
  } else {
    if (found.free_gib < kLeastDisk)
      advice.emplace_back("less than 1 GiB is free in " + folder + ": name another folder for the store");
    if (!found.locks)
      advice.emplace_back("the file system of " + folder +
                       " has no locks, by which a store keeps to one writer: Lustre wants -o flock, NFS version 4");
  }
  if (!found.hdf5_with_mpi)
    advice.emplace_back(
        "the HDF5 library that was found at run time was built without MPI: put the one that Retain was built with "
        "first");
  if (found.ranks == 1 && found.batch_tasks > 1)
    advice.emplace_back("Slurm gives " + std::to_string(found.batch_tasks) +
                     " tasks, but this is one rank alone: start it with srun --mpi=pmix");
  return advice;
}

}  // namespace retain::launch
