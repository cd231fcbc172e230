// SPDX-License-Identifier: Apache-2.0
#include "recipes/study/load_summary.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace retain::recipes {
namespace {

std::string in_mebibytes(std::int64_t bytes) {
  return std::to_string((bytes + (1 << 19)) >> 20) + " MiB";
}

}  // namespace

std::string load_summary(parallel::Communicator& world, std::int64_t read, std::int64_t whole, double seconds) {
  at::Tensor most = at::tensor({static_cast<double>(read), static_cast<double>(-read), seconds}, at::kDouble);
  at::Tensor sum = at::tensor({read}, at::kLong);
  world.all_reduce(most, parallel::ReduceOp::max);
  world.all_reduce(sum);
  const auto* extremes = most.const_data_ptr<double>();
  const auto largest = static_cast<std::int64_t>(extremes[0]), least = static_cast<std::int64_t>(-extremes[1]);
  const std::int64_t together = *sum.const_data_ptr<std::int64_t>();
  const double slowest = std::max(extremes[2], 1e-6);

  std::string text = "weights: ";
  if (world.size() == 1)
    text += "read " + in_mebibytes(read);
  else
    text += std::to_string(world.size()) + " ranks read " + (least == largest ? "" : in_mebibytes(least) + " to ") +
            in_mebibytes(largest) + " each";
  char speed[64];
  std::snprintf(speed, sizeof speed, " in %.1f s (%.0f MiB/s)", slowest,
                static_cast<double>(together) / 1048576.0 / slowest);
  return text + ", of a model of " + in_mebibytes(whole) + "," + speed;
}

}  // namespace retain::recipes
