// SPDX-License-Identifier: Apache-2.0
// A process of this machine, told apart from a later one of the same number.
#pragma once
#include <cstdint>

namespace retain::parallel {

struct ProcessIdentity {
  std::int32_t number = 0;
  std::uint64_t started = 0;  ///< clock ticks since the machine started (proc(5), field 22 of stat); 0: not known
};

ProcessIdentity own_process() noexcept;
/// Whether it is there and has not ended (one that nobody has waited for yet has). May be called in signal handlers.
bool runs(const ProcessIdentity& process) noexcept;

}  // namespace retain::parallel
