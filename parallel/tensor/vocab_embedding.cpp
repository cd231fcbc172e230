// SPDX-License-Identifier: Apache-2.0
#include "parallel/tensor/vocab_embedding.h"

#include "framework/base/error.h"
#include "parallel/collective_ops.h"

namespace retain::parallel {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

struct LookupFunction : torch::autograd::Function<LookupFunction> {
  /// `places_K`: rows of the result that this rank fills; `local_K`: the weight's rows they take.
  static Variable forward(AutogradContext* context, const Variable& weight_VH, const at::Tensor& places_K,
                          const at::Tensor& local_K, std::int64_t tokens) {
    context->save_for_backward({places_K, local_K});
    context->saved_data["rows"] = weight_VH.size(0);
    at::Tensor hidden_TH = at::zeros({tokens, weight_VH.size(1)}, weight_VH.options().requires_grad(false));
    hidden_TH.index_copy_(0, places_K, weight_VH.detach().index_select(0, local_K));
    return hidden_TH;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor gradient_KH = gradients[0].index_select(0, saved[0]);
    // Rows used more than once are summed in float32 and rounded once.
    const auto [used_U, place_K, counts] = at::_unique2(saved[1], true, true, false);
    at::Tensor sums_UH = at::zeros({used_U.size(0), gradient_KH.size(1)}, gradient_KH.options().dtype(at::kFloat));
    sums_UH.index_add_(0, place_K, gradient_KH.to(at::kFloat));
    at::Tensor dweight_VH =
        at::zeros({context->saved_data["rows"].toInt(), gradient_KH.size(1)}, gradient_KH.options());
    dweight_VH.index_copy_(0, used_U, sums_UH.to(gradient_KH.scalar_type()));
    return {dweight_VH, {}, {}, {}};
  }
};

}  // namespace

at::Tensor vocab_embedding(const at::Tensor& ids_T, const at::Tensor& weight_VH, Range rows, std::int64_t vocabulary,
                           Communicator& group) {
  if (ids_T.numel() > 0 && ids_T.max().item<std::int64_t>() >= vocabulary)
    throw framework::Error(framework::ErrorKind::data_invalid,
                           {"a token id is outside the model's vocabulary", "ids below " + std::to_string(vocabulary),
                            std::to_string(ids_T.max().item<std::int64_t>()), "use the model's own tokenizer"});
  const at::Tensor places_K = ((ids_T >= rows.begin) & (ids_T < rows.end)).nonzero().squeeze(1);
  const at::Tensor local_K = ids_T.index_select(0, places_K) - rows.begin;
  return reduce_from_tensor_group(LookupFunction::apply(weight_VH, places_K, local_K, ids_T.size(0)), group);
}

}  // namespace retain::parallel
