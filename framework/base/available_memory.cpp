// SPDX-License-Identifier: Apache-2.0
// Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst; cgroups(7) for /proc/self/cgroup.
#include "framework/base/available_memory.h"

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>

namespace retain::framework {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kUnknown = std::numeric_limits<std::int64_t>::max();

/// How a version of control groups names its files.
struct Names {
  const char* limit;
  const char* used;
  const char* inactive_file;  ///< in memory.stat, groups below included
  const char* active_file;
};
constexpr Names kVersion1{"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file", "total_active_file"};
constexpr Names kVersion2{"memory.max", "memory.current", "inactive_file", "active_file"};

/// A number on its own in a file; "max" and absent files are unknown.
std::int64_t number_in(const fs::path& file) {
  std::int64_t value = 0;
  std::ifstream text(file);
  return text >> value ? value : kUnknown;
}

/// The number after a word, in a file of such lines; `otherwise` where there is none.
std::int64_t number_after(const std::string& word, const fs::path& file, std::int64_t otherwise) {
  std::ifstream text(file);
  std::string line;
  while (std::getline(text, line)) {
    std::istringstream words(line);
    std::string name;
    std::int64_t value = 0;
    if (words >> name >> value && name == word) return value;
  }
  return otherwise;
}

std::int64_t group_leaves(const fs::path& group, const Names& names) {
  const std::int64_t limit = number_in(group / names.limit), used = number_in(group / names.used);
  if (limit == kUnknown || used == kUnknown) return kUnknown;
  const fs::path statistics = group / "memory.stat";
  const std::int64_t cached = number_after(names.inactive_file, statistics, 0) + number_after(names.active_file, statistics, 0);
  return std::max<std::int64_t>(0, limit - std::max<std::int64_t>(0, used - cached));
}

/// The least that the group at `path` below `mount` leaves, or one above it. In a container the path may be the host's, and the
/// container's own group be the mount.
std::int64_t groups_leave(const fs::path& mount, const std::string& path, const Names& names) {
  std::int64_t least = group_leaves(mount, names);
  fs::path group = mount;
  for (const fs::path& part : fs::path(path).relative_path()) {
    group /= part;
    least = std::min(least, group_leaves(group, names));
  }
  return least;
}

/// Whether a list of words with commas between has this one.
bool lists(std::string_view list, std::string_view word) {
  for (std::size_t start = 0; start <= list.size();) {
    const std::size_t end = std::min(list.find(',', start), list.size());
    if (list.substr(start, end - start) == word) return true;
    start = end + 1;
  }
  return false;
}

}  // namespace

std::int64_t available_bytes(const fs::path& root) {
  const std::int64_t free_kib = number_after("MemAvailable:", root / "proc/meminfo", kUnknown);
  std::int64_t least = free_kib == kUnknown ? kUnknown : free_kib * 1024;
  const fs::path mount = root / "sys/fs/cgroup";
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {  // hierarchy:controllers:path
    const std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), path = line.substr(second + 1);
    if (controllers.empty()) least = std::min(least, groups_leave(mount, path, kVersion2));
    if (lists(controllers, "memory")) least = std::min(least, groups_leave(mount / "memory", path, kVersion1));
  }
  return least;
}

}  // namespace retain::framework
