// SPDX-License-Identifier: Apache-2.0
// The checks of a back end on what it is handed. All throw Error(communication).
#pragma once
#include <ATen/core/Tensor.h>

#include <string_view>

namespace retain::parallel {

/// Contiguous, on `device`, of a dtype that communicators carry.
void check_tensor(const at::Tensor& tensor, std::string_view operation, std::string_view group,
                  c10::DeviceType device = c10::DeviceType::CPU);
/// Both as above, of one dtype, and `whole` has `size` times the elements of `block`.
void check_blocks(const at::Tensor& whole, const at::Tensor& block, int size, std::string_view operation,
                  std::string_view group, c10::DeviceType device = c10::DeviceType::CPU);
void check_member(int member, int size, std::string_view group);

}  // namespace retain::parallel
