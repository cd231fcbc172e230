// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace retain::framework {

/// Tells glibc's allocator to keep freed pages instead of returning them: tensors of a step are allocated anew every
/// step, and faulting their pages in again costs more than computing with them.
void keep_freed_pages();

}  // namespace retain::framework
