// SPDX-License-Identifier: Apache-2.0
#include "framework/base/memory.h"

#include <malloc.h>

#include <climits>

namespace retain::framework {

void keep_freed_pages() {
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 64 << 20);
  mallopt(M_ARENA_MAX, 1);
}

}  // namespace retain::framework
