// SPDX-License-Identifier: Apache-2.0
// Collectives as differentiable functions.
#include "parallel/collective_ops.h"

#include <torch/csrc/autograd/custom_function.h>

#include <numeric>

#include "framework/base/error.h"

namespace retain::parallel {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Function;
using torch::autograd::variable_list;

// Autograd saves plain values only, so a group travels through a context as its address.
std::int64_t address_of(Communicator& group) {
  return reinterpret_cast<std::int64_t>(&group);
}
Communicator& group_of(AutogradContext* context) {
  return *reinterpret_cast<Communicator*>(context->saved_data.at("group").toInt());
}

at::Tensor reduced_copy(const at::Tensor& x, Communicator& group) {
  at::Tensor sum = x.is_contiguous() ? x.clone(at::MemoryFormat::Contiguous) : x.contiguous();
  group.all_reduce(sum);
  return sum;
}

void check_sizes(const at::Tensor& x, std::int64_t dim, const std::vector<std::int64_t>& sizes, std::int64_t expected,
                 const Communicator& group) {
  if (static_cast<int>(sizes.size()) == group.size() && x.size(dim) == expected) return;
  throw framework::Error(framework::ErrorKind::internal,
                         {"slices of a tensor group do not fit the tensor",
                          std::to_string(group.size()) + " slices, dimension " + std::to_string(dim) + " of size " +
                              std::to_string(expected),
                          std::to_string(sizes.size()) + " slices, size " + std::to_string(x.size(dim)),
                          {}});
}

std::int64_t start_of(const std::vector<std::int64_t>& sizes, int rank) {
  return std::accumulate(sizes.begin(), sizes.begin() + rank, std::int64_t{0});
}

at::Tensor own_slice(const at::Tensor& x, std::int64_t dim, const std::vector<std::int64_t>& sizes,
                     const Communicator& group) {
  return x.narrow(dim, start_of(sizes, group.rank()), sizes.at(static_cast<std::size_t>(group.rank()))).contiguous();
}

/// Slices padded to the longest travel in one all_gather; the padding is cut off afterwards.
at::Tensor gathered(const at::Tensor& x, std::int64_t dim, const std::vector<std::int64_t>& sizes,
                    Communicator& group) {
  const std::int64_t longest = *std::max_element(sizes.begin(), sizes.end());
  const at::Tensor first = x.movedim(dim, 0);
  std::vector<std::int64_t> shape = first.sizes().vec();
  shape[0] = longest;
  at::Tensor padded = at::zeros(shape, x.options());
  padded.narrow(0, 0, x.size(dim)).copy_(first);
  shape.insert(shape.begin(), group.size());
  at::Tensor all = at::empty(shape, x.options());
  group.all_gather(all, padded);
  std::vector<at::Tensor> parts;
  for (int r = 0; r < group.size(); ++r) {
    parts.push_back(all[r].narrow(0, 0, sizes[static_cast<std::size_t>(r)]));
  }
  return at::cat(parts, 0).movedim(0, dim).contiguous();
}

struct CopyToGroup : Function<CopyToGroup> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, std::int64_t group) {
    context->saved_data["group"] = group;
    return x.view_as(x);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {reduced_copy(gradients[0], group_of(context)), at::Tensor()};
  }
};

struct ReduceFromGroup : Function<ReduceFromGroup> {
  static at::Tensor forward(AutogradContext*, const at::Tensor& x, std::int64_t group) {
    return reduced_copy(x, *reinterpret_cast<Communicator*>(group));
  }
  static variable_list backward(AutogradContext*, variable_list gradients) { return {gradients[0], at::Tensor()}; }
};

struct GatherFromGroup : Function<GatherFromGroup> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, std::int64_t dim,
                            std::vector<std::int64_t> sizes, std::int64_t group) {
    context->saved_data["group"] = group;
    context->saved_data["dim"] = dim;
    context->saved_data["sizes"] = sizes;
    return gathered(x, dim, sizes, group_of(context));
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {own_slice(gradients[0], context->saved_data["dim"].toInt(), context->saved_data["sizes"].toIntVector(),
                      group_of(context)),
            at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

struct SplitToGroup : Function<SplitToGroup> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x, std::int64_t dim,
                            std::vector<std::int64_t> sizes, std::int64_t group) {
    context->saved_data["group"] = group;
    context->saved_data["dim"] = dim;
    context->saved_data["sizes"] = sizes;
    return own_slice(x, dim, sizes, group_of(context));
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    return {gathered(gradients[0], context->saved_data["dim"].toInt(), context->saved_data["sizes"].toIntVector(),
                     group_of(context)),
            at::Tensor(), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor copy_to_tensor_group(const at::Tensor& x, Communicator& group) {
  if (group.size() == 1 || !x.requires_grad()) return x;
  return CopyToGroup::apply(x, address_of(group));
}

at::Tensor reduce_from_tensor_group(const at::Tensor& x, Communicator& group) {
  if (group.size() == 1) return x;
  return ReduceFromGroup::apply(x, address_of(group));
}

at::Tensor gather_from_tensor_group(const at::Tensor& x, std::int64_t dim, const std::vector<std::int64_t>& sizes,
                                    Communicator& group) {
  const std::int64_t positive = dim < 0 ? dim + x.dim() : dim;
  check_sizes(x, positive, sizes, sizes.empty() ? 0 : sizes.at(static_cast<std::size_t>(group.rank())), group);
  if (group.size() == 1) return x;
  return GatherFromGroup::apply(x, positive, sizes, address_of(group));
}

at::Tensor split_to_tensor_group(const at::Tensor& x, std::int64_t dim, const std::vector<std::int64_t>& sizes,
                                 Communicator& group) {
  const std::int64_t positive = dim < 0 ? dim + x.dim() : dim;
  check_sizes(x, positive, sizes, std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0}), group);
  if (group.size() == 1) return x;
  return SplitToGroup::apply(x, positive, sizes, address_of(group));
}

std::vector<std::int64_t> even_sizes(std::int64_t total, int parts) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(parts), total / parts);
  for (std::int64_t i = 0; i < total % parts; ++i) ++sizes[static_cast<std::size_t>(i)];
  return sizes;
}

}  // namespace retain::parallel
