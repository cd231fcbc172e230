// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>

namespace retain::framework {

/// Tells glibc's allocator to keep freed pages instead of returning them: tensors of a step are allocated anew every
/// step, and faulting their pages in again costs more than computing with them.
void keep_freed_pages();

/// Bytes of anonymous memory this process holds (RssAnon of /proc/self/status: what it allocated and touched, without mapped
/// files and shared memory). Since freed pages are kept it hardly falls, so read now and then it shows the peak.
std::int64_t anonymous_bytes();

/// Bytes this machine can still give: MemAvailable, or what the process's control group leaves where that is less.
std::int64_t available_bytes();

}  // namespace retain::framework
