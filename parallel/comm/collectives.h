// SPDX-License-Identifier: Apache-2.0
// The collectives of a group, as operations for Progress. Arguments are checked by the caller (see communicator.h).
#pragma once
#include <ATen/core/Tensor.h>

#include <memory>

#include "parallel/comm/group.h"
#include "parallel/comm/operation.h"

namespace retain::parallel {

std::shared_ptr<Operation> make_all_reduce(std::shared_ptr<Group> group, at::Tensor tensor, ReduceOp op);
std::shared_ptr<Operation> make_all_gather(std::shared_ptr<Group> group, at::Tensor gathered, at::Tensor input);
std::shared_ptr<Operation> make_reduce_scatter(std::shared_ptr<Group> group, at::Tensor output, at::Tensor input,
                                               ReduceOp op);
std::shared_ptr<Operation> make_broadcast(std::shared_ptr<Group> group, at::Tensor tensor, int root);
std::shared_ptr<Operation> make_barrier(std::shared_ptr<Group> group);

}  // namespace retain::parallel
