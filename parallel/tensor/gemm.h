// SPDX-License-Identifier: Apache-2.0
// Matrix products of linear layers on the fastest path this machine has.
// Shape suffixes: T tokens, I input features, O output features, M K N of a product.
#pragma once
#include <ATen/core/Tensor.h>

namespace retain::parallel {

/// a_MK · b_NKᵀ (+ bias_N), either operand may be a transposed view. Not recorded by autograd. float32 and bfloat16 on the
/// CPU go to oneDNN (ATen's float32 product is MKL's, which leaves half of a non-Intel core idle); others to ATen.
/// `bias_N` may be undefined.
at::Tensor multiply_transposed(const at::Tensor& a_MK, const at::Tensor& b_NK, const at::Tensor& bias_N);

/// For each shape of product torch keeps a description and oneDNN what it made of it, a quarter of a megabyte each and 1,024 of
/// either; the lengths of batches go on differing for as long as a run does. Has both keep the latest few alone: a step's layers
/// share them, and little else is asked for again. ONEDNN_PRIMITIVE_CACHE_CAPACITY and LRU_CACHE_CAPACITY stay as the user has set
/// them. To be called before the first product and before threads start.
void limit_kept_products();
constexpr int kKeptProducts = 64;  ///< of either

/// y_TO = x_TI · weight_OIᵀ (+ bias_O), with a gradient for whatever requires one and nothing else computed or kept: the
/// input is saved only when the weight is trained, the weight only when the input needs a gradient.
/// x may have any leading dimensions; `bias_O` may be undefined.
at::Tensor apply_linear(const at::Tensor& x_TI, const at::Tensor& weight_OI, const at::Tensor& bias_O);

}  // namespace retain::parallel
