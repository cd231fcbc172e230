// SPDX-License-Identifier: Apache-2.0
// MPI return codes as exceptions.
#pragma once

namespace retain::parallel {

/// Throws Error(communication) with MPI's own text when `code` is not MPI_SUCCESS. `call` names what was called.
void check_mpi(int code, const char* call);

}  // namespace retain::parallel
