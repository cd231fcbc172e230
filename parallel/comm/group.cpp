// SPDX-License-Identifier: Apache-2.0
// Groups as text.
#include "parallel/comm/group.h"

namespace retain::parallel {

std::string to_string(const Group& group) {
  std::string text = "group '" + group.name + "' (ranks ";
  for (std::size_t i = 0; i < group.world_ranks.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(group.world_ranks[i]);
  }
  return text + ")";
}

}  // namespace retain::parallel
