// SPDX-License-Identifier: Apache-2.0
#include "recipes/probes/output_distance.h"

#include <ATen/ATen.h>

#include "models/lmm/inference.h"
#include "parallel/tensor/vocab_distillation.h"

namespace retain::recipes {

framework::json::object output_distance(const ProbeInput& input) {
  const at::NoGradGuard no_gradient;
  models::Lmm& model = input.model;
  const parallel::Mesh& mesh = model.mesh();
  const std::unique_ptr<models::Lmm> base = input.base();
  at::Tensor sums = at::zeros({2}, at::kDouble);
  for_each_batch(input, [&](const CaptionBatch& batch) {
    const at::Tensor& rows_A = batch.packed.answer_rows_A;
    const at::Tensor hidden_TH = models::forward_through_pipeline(model, batch.packed);
    const at::Tensor base_hidden_TH = models::forward_through_pipeline(*base, batch.packed);
    if (!mesh.is_last_pipeline_stage()) return;
    const at::Tensor logits_AV = model.local_logits(hidden_TH, rows_A), base_logits_AV = base->local_logits(base_hidden_TH, rows_A);
    const at::Tensor weights_A = batch.packed.weights_A.to(logits_AV.device());
    sums[0] += parallel::vocab_distillation(logits_AV, base_logits_AV, weights_A, 1.0, mesh.tensor()).cpu().to(at::kDouble);
    const at::Tensor agree_A = model.predict(hidden_TH, rows_A) == base->predict(base_hidden_TH, rows_A);
    sums[1] += (agree_A.to(weights_A.device()) * weights_A).cpu().to(at::kDouble).sum();
  });
  share_sum(mesh, sums);
  sums /= static_cast<double>(input.count());
  return {{"value", sums[0].item<double>()}, {"kl_divergence", sums[0].item<double>()}, {"top1_agreement", sums[1].item<double>()},
          {"samples", input.count()}};
}

}  // namespace retain::recipes
