// SPDX-License-Identifier: Apache-2.0
// `retain doctor`: what this machine offers.
#include <hdf5.h>
#include <mpi.h>
#include <torch/headeronly/version.h>

#include <algorithm>
#include <iostream>
#include <memory>

#include "framework/base/json.h"
#include "launch/command/commands.h"
#include "launch/command/machine_checks.h"

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

int run_doctor(const Session& session, const std::filesystem::path& folder) {
  const std::vector<std::string> texts = session.world()->gather_text(to_text(place_of_this_rank()));
  if (!session.is_root()) return 0;
  std::vector<RankPlace> places;
  for (const std::string& text : texts) places.push_back(place_from(text));
  const auto here = std::count_if(places.begin(), places.end(),
                                  [&](const RankPlace& place) { return place.host == places.front().host; });
  const SystemFindings found = look_at_system(folder, static_cast<int>(here), static_cast<int>(places.size()));
  json::object report{{"ranks", places.size()},
                      {"ranks_on_this_host", here},
                      {"processors", places.front().processors},
                      {"processors_of_first_rank", places.front().cores.size()},
                      {"threads_per_rank", places.front().threads},
                      {"mpi", mpi_version()},
                      {"hdf5", hdf5_version()},
                      {"torch", TORCH_VERSION},
                      {"folder", folder.string()},
                      {"free_gib", found.free_gib},
                      {"free_gib_shared_memory", found.shared_memory_gib}};
  json::array advice;
  for (const std::string& line : advice_on_placement(places)) advice.emplace_back(line);
  for (const std::string& line : advice_on_system(found)) advice.emplace_back(line);
  report["advice"] = std::move(advice);
  std::cout << framework::pretty(report);
  return 0;
}

}  // namespace

void add_doctor(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("doctor", "Say what this machine and launch offer and what to mend");
  auto folder = std::make_shared<std::string>(".");
  command->add_option("folder", *folder, "Where the store would lie");
  command->callback(
      [folder, &action] { action = [folder](const Session& session) { return run_doctor(session, *folder); }; });
}

}  // namespace retain::launch
