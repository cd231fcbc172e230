// SPDX-License-Identifier: Apache-2.0
#include "recipes/probes/number_bias.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "models/lmm/inference.h"

namespace retain::recipes {

double number_bias(models::Lmm& model, const SampleSource& captions, const std::vector<std::int64_t>& number_ids,
                   std::int64_t limit, std::int64_t batch) {
  const at::NoGradGuard no_gradient;
  const parallel::Mesh& mesh = model.mesh();
  const std::int64_t count = limit > 0 ? std::min(limit, captions.size()) : captions.size();
  const parallel::Range share = parallel::even_share(count, mesh.shape().data, mesh.position().data);
  const at::Tensor ids = at::tensor(number_ids, at::kLong);
  at::Tensor total = at::zeros({1}, at::kDouble);
  for (std::int64_t first = share.begin; first < share.end; first += batch) {
    std::vector<models::Sample> samples;
    for (std::int64_t i = first; i < std::min(first + batch, share.end); ++i)
      samples.push_back(captions.sample(i, mesh.is_first_pipeline_stage()));
    // Weighted per sample, the sum over a sample's positions is its mean.
    const models::MicroBatch packed = models::pack(samples, models::LossAverage::sample, 1, 1);
    const at::Tensor hidden_TH = models::forward_through_pipeline(model, packed);
    if (!mesh.is_last_pipeline_stage()) continue;
    const at::Tensor probability_A = at::softmax(model.logits(hidden_TH, packed.answer_rows_A), -1).index_select(1, ids).sum(1);
    total += (probability_A * packed.weights_A).sum().to(at::kDouble);
  }
  mesh.data().all_reduce(total);
  mesh.pipeline().broadcast(total, mesh.shape().pipeline - 1);
  return total.item<double>() / static_cast<double>(count);
}

}  // namespace retain::recipes
