// SPDX-License-Identifier: Apache-2.0
// MPI return codes as exceptions.
#include "parallel/comm/mpi_check.h"

#include <mpi.h>

#include <array>
#include <string>

#include "framework/base/error.h"

namespace retain::parallel {

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw framework::Error(
      framework::ErrorKind::communication,
      {std::string(call) + " failed", "MPI_SUCCESS", std::string(text.data(), static_cast<std::size_t>(length)),
       "look for a rank or node that ended before; its own message comes first"});
}

}  // namespace retain::parallel
