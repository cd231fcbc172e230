// SPDX-License-Identifier: Apache-2.0
#include "parallel/tensor/gemm.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/List.h>

#include <cstdlib>
#include <string>

namespace retain::parallel {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

using PointwiseLinear = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                                   c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);

/// oneDNN's linear as torch registers it for its own compiler; empty in builds without it.
std::optional<c10::TypedOperatorHandle<PointwiseLinear>> find_onednn_linear() {
  const auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
  if (!found || !found->hasKernelForDispatchKey(c10::DispatchKey::CPU)) return std::nullopt;
  return found->typed<PointwiseLinear>();
}

bool suits_onednn(const at::Tensor& a, const at::Tensor& b) {
  const at::ScalarType type = a.scalar_type();
  return a.is_cpu() && b.scalar_type() == type && (type == at::kFloat || type == at::kBFloat16);
}

at::Tensor flatten_rows(const at::Tensor& x) { return x.dim() == 2 ? x : x.reshape({-1, x.size(-1)}); }

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static Variable forward(AutogradContext* context, const Variable& x, const Variable& weight_OI,
                          const std::optional<at::Tensor>& bias) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const at::Tensor x_TI = flatten_rows(x);
    const bool train_weight = weight_OI.requires_grad();
    const bool train_bias = bias && bias->requires_grad();
    context->save_for_backward({train_weight ? x_TI : at::Tensor(), x.requires_grad() ? weight_OI : at::Tensor()});
    context->saved_data["shape"] = x.sizes().vec();
    context->saved_data["train_bias"] = train_bias;
    std::vector<std::int64_t> shape = x.sizes().vec();
    shape.back() = weight_OI.size(0);
    return multiply_transposed(x_TI, weight_OI, bias.value_or(at::Tensor())).view(shape);
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const at::AutoDispatchBelowADInplaceOrView below_autograd;
    const variable_list saved = context->get_saved_variables();
    const at::Tensor gradient_TO = flatten_rows(gradients[0].contiguous());
    variable_list result(3);
    if (saved[1].defined())
      result[0] = multiply_transposed(gradient_TO, saved[1].t(), {}).view(context->saved_data["shape"].toIntVector());
    if (saved[0].defined()) result[1] = multiply_transposed(gradient_TO.t(), saved[0].t(), {});
    if (context->saved_data["train_bias"].toBool()) result[2] = gradient_TO.sum(0);
    return result;
  }
};

}  // namespace

void limit_kept_products() {
  constexpr int kKeepSet = 0;  // what the user has set already
  const std::string count = std::to_string(kKeptProducts);
  ::setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", count.c_str(), kKeepSet);  // oneDNN's compiled products
  ::setenv("LRU_CACHE_CAPACITY", count.c_str(), kKeepSet);               // their descriptions, which torch keeps beside them
}

at::Tensor multiply_transposed(const at::Tensor& a_MK, const at::Tensor& b_NK, const at::Tensor& bias_N) {
  const at::AutoDispatchBelowADInplaceOrView below_autograd;
  if (a_MK.numel() == 0 || b_NK.numel() == 0) {
    at::Tensor zeros_MN = at::zeros({a_MK.size(0), b_NK.size(0)}, a_MK.options());
    return bias_N.defined() ? zeros_MN.add_(bias_N) : zeros_MN;
  }
  static const auto onednn = find_onednn_linear();
  if (onednn && suits_onednn(a_MK, b_NK)) {
    const std::optional<at::Tensor> bias = bias_N.defined() ? std::optional(bias_N) : std::nullopt;
    return onednn->call(a_MK, b_NK, bias, "none", c10::List<std::optional<at::Scalar>>(), "");
  }
  return bias_N.defined() ? at::addmm(bias_N, a_MK, b_NK.t()) : at::mm(a_MK, b_NK.t());
}

at::Tensor apply_linear(const at::Tensor& x_TI, const at::Tensor& weight_OI, const at::Tensor& bias_O) {
  return LinearFunction::apply(x_TI, weight_OI, bias_O.defined() ? std::optional(bias_O) : std::nullopt);
}

}  // namespace retain::parallel
