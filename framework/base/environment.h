// SPDX-License-Identifier: Apache-2.0
// What launchers and batch systems tell their processes.
#pragma once

namespace retain::framework {

/// The number that an environment variable begins with; 0 where it is not set or begins with none.
int number_in(const char* variable);

}  // namespace retain::framework
