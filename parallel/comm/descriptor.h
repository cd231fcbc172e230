// SPDX-License-Identifier: Apache-2.0
// What a rank says about the operation it has entered; peers compare it with their own on arrival.
#pragma once
#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string>

#include "parallel/comm/communicator.h"

namespace retain::parallel {

enum class OperationKind : std::uint8_t {
  none,
  all_reduce,
  all_gather,
  reduce_scatter,
  broadcast,
  barrier,
  send,
  receive
};

/// Plain data: it lies in shared memory and travels in messages.
struct Descriptor {
  std::uint64_t sequence = 0;  ///< the how-manieth collective of its group, from 1; 0 for messages
  std::int64_t elements = 0;   ///< of this rank's block
  std::int32_t root = -1;      ///< of a broadcast, or the peer of a message
  OperationKind kind = OperationKind::none;
  std::int8_t dtype = -1;   ///< c10::ScalarType
  std::uint8_t reduce = 0;  ///< ReduceOp
  std::uint8_t padding = 0;
  bool operator==(const Descriptor&) const = default;
};

/// "all_reduce(sum) #12 of 4096 bfloat16".
std::string to_string(const Descriptor& descriptor);

}  // namespace retain::parallel
