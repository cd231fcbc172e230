// SPDX-License-Identifier: Apache-2.0
#include "models/lmm/batch.h"

namespace retain::models {

std::int64_t Sample::answers() const {
  std::int64_t count = 0;
  for (std::size_t i = 1; i < labels.size(); ++i) count += labels[i] != -100;
  return count;
}

}  // namespace retain::models
