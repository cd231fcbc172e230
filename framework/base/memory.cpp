// SPDX-License-Identifier: Apache-2.0
#include "framework/base/memory.h"

#include <malloc.h>

#include <algorithm>
#include <climits>
#include <fstream>
#include <string>

namespace retain::framework {

namespace {

/// The value, in bytes, of a line "Name:   123 kB".
std::int64_t field_of(const char* file, const std::string& name, std::int64_t otherwise) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + ":")) return std::stoll(line.substr(name.size() + 1)) * 1024;
  return otherwise;
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
