// SPDX-License-Identifier: Apache-2.0
#include "framework/base/memory.h"

#include <malloc.h>

#include <algorithm>
#include <climits>
#include <fstream>
#include <limits>
#include <string>

namespace retain::framework {

namespace {

constexpr std::int64_t kUnknown = std::numeric_limits<std::int64_t>::max();

/// The value, in bytes, of a line "Name:   123 kB".
std::int64_t field_of(const char* file, const std::string& name, std::int64_t otherwise) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + ":")) return std::stoll(line.substr(name.size() + 1)) * 1024;
  return otherwise;
}

/// A number on its own in a file; "max" and absent files are unknown.
std::int64_t number_in(const std::string& file) {
  std::int64_t value = 0;
  std::ifstream text(file);
  return text >> value ? value : kUnknown;
}

/// What control groups version 2 leave of their limit.
std::int64_t group_leaves() {
  std::ifstream groups("/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    if (!line.starts_with("0::")) continue;
    const std::string folder = "/sys/fs/cgroup" + line.substr(3);
    const std::int64_t limit = number_in(folder + "/memory.max"), used = number_in(folder + "/memory.current");
    if (limit != kUnknown && used != kUnknown) return std::max<std::int64_t>(0, limit - used);
  }
  return kUnknown;
}

}  // namespace

std::int64_t anonymous_bytes() {
  return field_of("/proc/self/status", "RssAnon", 0);
}

std::int64_t peak_anonymous_bytes() {
  constexpr const char* kStatus = "/proc/self/status";
  const std::int64_t mapped = field_of(kStatus, "RssFile", 0) + field_of(kStatus, "RssShmem", 0);
  return std::max(anonymous_bytes(), field_of(kStatus, "VmHWM", 0) - mapped);
}

void restart_peak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

std::int64_t available_bytes() {
  return std::min(field_of("/proc/meminfo", "MemAvailable", kUnknown), group_leaves());
}

void keep_freed_pages() {
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
  mallopt(M_ARENA_MAX, 1);
}

void release_freed_pages() {
  malloc_trim(0);
}

}  // namespace retain::framework
