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
  int threads = 1;
  std::vector<int> cores;  ///< logical processors it may run on
};

/// Of the calling rank, and to and from one line of text.
RankPlace place_of_this_rank();
std::string to_text(const RankPlace& place);
RankPlace place_from(const std::string& text);

/// More threads than processors on a host, a rank bound to fewer processors than it has threads, ranks bound to the same ones.
std::vector<std::string> advice_on_placement(const std::vector<RankPlace>& ranks, int processors);
/// Shared memory for `ranks_here`, room and locks in `folder`, the HDF5 at hand, a batch system's tasks without a launcher.
std::vector<std::string> advice_on_system(const std::filesystem::path& folder, int ranks_here, int ranks);

/// GiB that a file system can still take; 0 where it does not say.
double free_gib(const std::filesystem::path& folder);

}  // namespace retain::launch
