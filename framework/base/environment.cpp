// SPDX-License-Identifier: Apache-2.0
#include "framework/base/environment.h"

#include <cstdlib>

namespace retain::framework {

int number_in(const char* variable) {
  const char* text = std::getenv(variable);
  return text == nullptr ? 0 : static_cast<int>(std::strtol(text, nullptr, 10));
}

}  // namespace retain::framework
