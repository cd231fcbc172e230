// SPDX-License-Identifier: Apache-2.0
// Locks on ranges of a file's bytes. They belong to the open file, not to the process or the thread, and the kernel drops them
// when it is closed or its process ends. The bytes need not exist.
#pragma once
#include <cstdint>

#include "framework/store/file_ops.h"

namespace retain::framework {

struct ByteRange {
  std::int64_t begin = 0;
  std::int64_t bytes = 1;  ///< 0: all that follow
};

/// Takes the range alone, at once. False where another open file holds some of it. Own ranges may be taken again.
/// Throws Error(io) where the file system has no such locks.
bool lock_bytes(const File& file, ByteRange range);
void unlock_bytes(const File& file, ByteRange range);
/// Whether another open file holds some of the range.
bool are_locked_elsewhere(const File& file, ByteRange range);

}  // namespace retain::framework
