// SPDX-License-Identifier: Apache-2.0
// `retain doctor`: what this machine offers.
#include <hdf5.h>
#include <mpi.h>
#include <sys/statvfs.h>

#include <ATen/Parallel.h>
#include <torch/headeronly/version.h>

#include <iostream>
#include <thread>

#include "framework/base/json.h"
#include "launch/command/commands.h"

namespace retain::launch {
namespace {

namespace json = framework::json;

std::string hdf5_version() {
  unsigned major = 0, minor = 0, release = 0;
  H5get_libversion(&major, &minor, &release);
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(release);
}

std::string mpi_version() {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  return std::string(text, static_cast<std::size_t>(length)).substr(0, std::string(text).find(','));
}

double free_gib(const char* folder) {
  struct statvfs info {};
  if (statvfs(folder, &info) != 0) return 0;
  return static_cast<double>(info.f_bavail) * static_cast<double>(info.f_frsize) / (1 << 30);
}

int run_doctor(const Session& session) {
  const std::vector<std::string> hosts = session.world()->gather_text([] {
    char name[256] = {};
    gethostname(name, sizeof name - 1);
    return std::string(name);
  }());
  if (!session.is_root()) return 0;
  const unsigned cores = std::thread::hardware_concurrency();
  const auto here = static_cast<unsigned>(std::count(hosts.begin(), hosts.end(), hosts.front()));
  json::object report{{"ranks", session.world()->size()}, {"ranks_on_this_host", here}, {"cores", cores},
                      {"threads_per_rank", at::get_num_threads()}, {"mpi", mpi_version()}, {"hdf5", hdf5_version()},
                      {"torch", TORCH_VERSION}, {"free_gib_here", free_gib(".")}, {"free_gib_shared_memory", free_gib("/dev/shm")}};
  json::array advice;
  if (here * static_cast<unsigned>(at::get_num_threads()) > cores)
    advice.emplace_back("more ranks × threads than cores: set OMP_NUM_THREADS to cores / ranks on the host");
  if (free_gib("/dev/shm") < 0.25) advice.emplace_back("less than 256 MiB of shared memory: enlarge /dev/shm");
  report["advice"] = std::move(advice);
  std::cout << framework::pretty(report);
  return 0;
}

}  // namespace

void add_doctor(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("doctor", "Say what this machine offers and what to mend");
  command->callback([&action] { action = run_doctor; });
}

}  // namespace retain::launch
