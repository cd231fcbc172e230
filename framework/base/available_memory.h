// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <filesystem>

namespace retain::framework {

/// Bytes this machine can still give this process: MemAvailable of /proc/meminfo, or what the nearest limit of its control groups
/// (version 1 or 2, its own and those above) leaves beside what they hold, the page cache not counted: the kernel drops it first.
/// `root`: where /proc and /sys lie.
std::int64_t available_bytes(const std::filesystem::path& root = "/");

}  // namespace retain::framework
