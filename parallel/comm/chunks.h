// SPDX-License-Identifier: Apache-2.0
// Tensors as chunks of a round, and as descriptors. Used by the collectives only.
#pragma once
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "parallel/comm/descriptor.h"

namespace retain::parallel {

inline std::byte* bytes_of(const at::Tensor& tensor) {
  return static_cast<std::byte*>(tensor.data_ptr());
}

/// memcpy, which must not be given a null pointer even for nothing: an empty tensor has one.
inline void copy_bytes(void* to, const void* from, std::size_t bytes) {
  if (bytes > 0) std::memcpy(to, from, bytes);
}

inline Descriptor describe(OperationKind kind, const at::Tensor& block) {
  Descriptor descriptor;
  descriptor.kind = kind;
  descriptor.elements = block.numel();
  descriptor.dtype = static_cast<std::int8_t>(block.scalar_type());
  return descriptor;
}

inline Descriptor describe(OperationKind kind, const at::Tensor& block, ReduceOp op) {
  Descriptor descriptor = describe(kind, block);
  descriptor.reduce = static_cast<std::uint8_t>(op);
  return descriptor;
}

/// A tensor's elements cut into chunks, one a round. An empty tensor still takes one round: the ranks meet.
struct Chunks {
  std::size_t elements;
  std::size_t per_round;

  std::uint64_t rounds() const { return std::max<std::uint64_t>(1, (elements + per_round - 1) / per_round); }
  std::size_t start(std::uint64_t index) const { return static_cast<std::size_t>(index) * per_round; }
  std::size_t length(std::uint64_t index) const { return std::min(per_round, elements - start(index)); }
};

inline Chunks chunks_of(const at::Tensor& block, std::size_t bytes_per_round) {
  return {static_cast<std::size_t>(block.numel()), std::max<std::size_t>(1, bytes_per_round / block.element_size())};
}

}  // namespace retain::parallel
