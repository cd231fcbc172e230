// SPDX-License-Identifier: Apache-2.0
// The checks of a back end on what it is handed.
#include "parallel/comm/tensor_check.h"

#include <string>

#include "framework/base/error.h"

namespace retain::parallel {
namespace {

using framework::Error;
using framework::ErrorKind;

bool carried(c10::ScalarType dtype) {
  switch (dtype) {
    case c10::ScalarType::Float:
    case c10::ScalarType::BFloat16:
    case c10::ScalarType::Double:
    case c10::ScalarType::Long:
    case c10::ScalarType::Int:
    case c10::ScalarType::Byte:
      return true;
    default:
      return false;
  }
}

std::string place(std::string_view operation, std::string_view group) {
  return std::string(operation) + " in group '" + std::string(group) + "'";
}

}  // namespace

void check_tensor(const at::Tensor& tensor, std::string_view operation, std::string_view group,
                  c10::DeviceType device) {
  if (!tensor.defined()) throw Error(ErrorKind::communication, place(operation, group) + " got no tensor");
  if (tensor.device().type() != device) {
    throw Error(ErrorKind::communication, {place(operation, group) + " got a tensor of another device",
                                           c10::DeviceTypeName(device),
                                           tensor.device().str(),
                                           {}});
  }
  if (!tensor.is_contiguous()) {
    throw Error(ErrorKind::communication,
                {place(operation, group) + " got a tensor with gaps", "a contiguous tensor", "one with strides", {}});
  }
  if (!carried(tensor.scalar_type())) {
    throw Error(ErrorKind::communication, {place(operation, group) + " cannot carry this dtype",
                                           "float32, bfloat16, float64, int64, int32 or uint8",
                                           c10::toString(tensor.scalar_type()),
                                           {}});
  }
}

void check_blocks(const at::Tensor& whole, const at::Tensor& block, int size, std::string_view operation,
                  std::string_view group, c10::DeviceType device) {
  check_tensor(whole, operation, group, device);
  check_tensor(block, operation, group, device);
  if (whole.scalar_type() == block.scalar_type() && whole.numel() == block.numel() * size) return;
  throw Error(ErrorKind::communication,
              {place(operation, group) + ": input and output do not fit",
               std::to_string(size) + " x " + std::to_string(block.numel()) + " elements of " +
                   c10::toString(block.scalar_type()),
               std::to_string(whole.numel()) + " elements of " + c10::toString(whole.scalar_type()),
               {}});
}

void check_member(int member, int size, std::string_view group) {
  if (member >= 0 && member < size) return;
  throw Error(ErrorKind::communication, {"group '" + std::string(group) + "' has no such member",
                                         "0 to " + std::to_string(size - 1),
                                         std::to_string(member),
                                         {}});
}

}  // namespace retain::parallel
