// SPDX-License-Identifier: Apache-2.0
// Point-to-point messages as operations.
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>

#include "parallel/comm/group.h"
#include "parallel/comm/operation.h"

namespace retain::parallel {

/// A tensor travels as raw bytes, in pieces MPI can count; pieces of one pair and tag stay in order.
std::shared_ptr<Operation> make_send(std::shared_ptr<Group> group, at::Tensor tensor, int to, int tag);
std::shared_ptr<Operation> make_receive(std::shared_ptr<Group> group, at::Tensor tensor, int from, int tag);

}  // namespace retain::parallel
