// SPDX-License-Identifier: Apache-2.0
// What an action that must be refused says.
#pragma once
#include <gtest/gtest.h>

#include <string>

#include "framework/base/error.h"

namespace retain::tests {

/// The message of the framework::Error that the action throws, which must be of this kind; "nothing was refused" without one.
template <class Action>
std::string refusal(framework::ErrorKind kind, const Action& action) {
  try {
    action();
  } catch (const framework::Error& error) {
    EXPECT_EQ(error.kind(), kind) << error.what();
    return error.what();
  }
  return "nothing was refused";
}

}  // namespace retain::tests
