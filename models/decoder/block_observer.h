// SPDX-License-Identifier: Apache-2.0
// Where what each block of a decoder layer adds to the residual stream may be looked at. Shape suffixes: T packed tokens, H hidden.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace retain::models {

enum class Block : std::uint8_t { attention, mlp };

/// `layer`: its number in the whole decoder. out_TH is whole on every tensor rank, and is overwritten after the call: copy what is
/// to be kept.
using BlockObserver = std::function<void(std::int64_t layer, Block block, const at::Tensor& out_TH)>;

}  // namespace retain::models
