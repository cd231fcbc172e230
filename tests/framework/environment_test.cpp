// SPDX-License-Identifier: Apache-2.0
#include "framework/base/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace retain::framework {
namespace {

TEST(Environment, NumbersOfVariables) {
  ::setenv("RETAIN_TEST_NUMBER", "16(x2)", 1);  // as Slurm writes tasks per node
  EXPECT_EQ(number_in("RETAIN_TEST_NUMBER"), 16);
  ::setenv("RETAIN_TEST_NUMBER", "many", 1);
  EXPECT_EQ(number_in("RETAIN_TEST_NUMBER"), 0);
  ::unsetenv("RETAIN_TEST_NUMBER");
  EXPECT_EQ(number_in("RETAIN_TEST_NUMBER"), 0);
}

}  // namespace
}  // namespace retain::framework
