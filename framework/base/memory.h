// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace retain::framework {

/// Tells glibc's allocator to keep freed pages instead of returning them: tensors of a step are allocated anew every
/// step, and faulting their pages in again costs more than computing with them. Blocks of 4 MiB and more are mapped one by
/// one all the same: there it costs little, while a heap that keeps such holes grew by a third.
void keep_freed_pages();

/// Gives every page that holds no block back to the kernel. Between pieces of work of unlike shapes: a kept heap otherwise grows by
/// the holes of all of them (glibc's malloc_trim; milliseconds for 100 MiB, and as much again when the pages are touched next).
void release_freed_pages();

/// Bytes of anonymous memory this process holds (RssAnon of /proc/self/status: what it allocated and touched, without mapped
/// files and shared memory).
std::int64_t anonymous_bytes();

/// The most it held since restart_peak(), or since it began where the kernel refuses that: the largest resident set (VmHWM)
/// without the files and shared memory mapped now.
std::int64_t peak_anonymous_bytes();
void restart_peak();

/// Bytes this machine can still give: MemAvailable, or what the process's control group leaves where that is less.
std::int64_t available_bytes();

}  // namespace retain::framework
