// SPDX-License-Identifier: Apache-2.0
// For measurements from a cold cache.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "framework/base/error.h"

namespace retain::bench {

/// The page cache forgets a file; what was written to it is on disk first, since the kernel keeps pages that are not.
inline void forget(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw framework::Error(framework::ErrorKind::io, "cannot open " + path.string());
  ::fsync(file);
  ::posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
  ::close(file);
}

}  // namespace retain::bench
