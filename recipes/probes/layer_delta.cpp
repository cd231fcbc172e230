// SPDX-License-Identifier: Apache-2.0
// A: compared positions, H: hidden, V: rows of the head on this rank, L: layers of the whole decoder.
#include "recipes/probes/layer_delta.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "models/lmm/inference.h"

namespace retain::recipes {
namespace {

namespace json = framework::json;

constexpr std::int64_t kRowsAtOnce = 4096;  // of the head, in float64

struct Rows {
  at::Tensor rows_A, weights_A;
};

/// The supervised tokens' own places, not those that predict them. `one_slot`: counted as if every picture were one token, as
/// the released labels are, and used as rows of the sequence all the same.
Rows supervised_rows(const CaptionBatch& batch, const models::LmmConfig& config, bool one_slot) {
  std::vector<std::int64_t> rows;
  std::vector<double> weights;
  for (std::size_t s = 0; s < batch.samples.size(); ++s) {
    const models::Sample& sample = batch.samples[s];
    std::vector<std::int64_t> places;
    std::int64_t place = 0;
    std::size_t image = 0;
    for (std::size_t i = 0; i < sample.ids.size(); ++place) {
      if (sample.labels[i] >= 0) places.push_back(place);
      const bool visual = sample.ids[i] == config.image_token || (config.video_token && sample.ids[i] == *config.video_token);
      const bool skips = one_slot && visual && image < sample.images.size();
      i += skips ? static_cast<std::size_t>(std::max<std::int64_t>(1, sample.images[image++].tokens)) : 1;
    }
    for (const std::int64_t supervised : places) {
      rows.push_back(batch.packed.starts[s] + supervised);
      weights.push_back(1.0 / static_cast<double>(places.size()));
    }
  }
  return {at::tensor(rows, at::kLong), at::tensor(weights, at::kDouble)};
}

using Outputs = std::map<std::pair<std::int64_t, models::Block>, at::Tensor>;  // [A,H] float64

/// What the blocks of this pipeline stage add at the rows.
Outputs outputs_of(models::Lmm& model, const models::MicroBatch& packed, const at::Tensor& rows_A) {
  Outputs outputs;
  model.observe_blocks([&](std::int64_t layer, models::Block block, const at::Tensor& out_TH) {
    outputs[{layer, block}] = out_TH.index_select(0, rows_A.to(out_TH.device())).to(at::kDouble);
  });
  models::forward_through_pipeline(model, packed);
  model.observe_blocks({});
  return outputs;
}

const parallel::Parameter& head_of(models::Lmm& model) {
  return model.parameters().parameter(model.config().text.tied_head ? "language.embed_tokens.weight" : "language.lm_head.weight");
}

/// WᵀW, WᵀD and DᵀD [3,H,H] of the whole head, on every rank.
at::Tensor gram_matrices(models::Lmm& model, models::Lmm& base) {
  const parallel::Mesh& mesh = model.mesh();
  const std::int64_t hidden = model.config().text.hidden;
  const at::Device device = model.parameters().all().front().value.device();
  at::Tensor grams = at::zeros({3, hidden, hidden}, at::TensorOptions().dtype(at::kDouble).device(device));
  if (mesh.is_last_pipeline_stage()) {
    const parallel::Parameter& head = head_of(model);
    const at::Tensor head_VH = head.value.detach(), base_VH = head_of(base).value.detach();
    for (std::int64_t first = 0; first < head_VH.size(0); first += kRowsAtOnce) {
      const std::int64_t rows = std::min(kRowsAtOnce, head_VH.size(0) - first);
      const at::Tensor w_VH = head_VH.narrow(0, first, rows).to(at::kDouble), d_VH = w_VH - base_VH.narrow(0, first, rows).to(at::kDouble);
      grams[0] += w_VH.t().mm(w_VH);
      grams[1] += w_VH.t().mm(d_VH);
      grams[2] += d_VH.t().mm(d_VH);
    }
    if (head.spec.cut_dimension == 0) mesh.tensor().all_reduce(grams);
  }
  mesh.pipeline().broadcast(grams, mesh.shape().pipeline - 1);
  return grams;
}

at::Tensor delta_of(const at::Tensor& h_AH, const at::Tensor& base_AH, const at::Tensor& grams) {
  const at::Tensor d_AH = h_AH - base_AH;
  const at::Tensor square_A = (d_AH.mm(grams[0]) * d_AH).sum(1) + 2 * (d_AH.mm(grams[1]) * base_AH).sum(1) +
                              (base_AH.mm(grams[2]) * base_AH).sum(1);
  return square_A.clamp_min(0).sqrt();
}

json::array numbers(const at::Tensor& values_L) {
  json::array list;
  for (std::int64_t i = 0; i < values_L.size(0); ++i) list.emplace_back(values_L[i].item<double>());
  return list;
}

}  // namespace

json::object layer_delta(const ProbeInput& input) {
  const at::NoGradGuard no_gradient;
  models::Lmm& model = input.model;
  const parallel::Mesh& mesh = model.mesh();
  const std::unique_ptr<models::Lmm> base = input.base();
  const at::Tensor grams = gram_matrices(model, *base);
  at::Tensor sums_2L = at::zeros({2, model.partition().layers.back().end}, at::kDouble);
  for_each_batch(input, [&](const CaptionBatch& batch) {
    const Rows rows = supervised_rows(batch, model.config(), /*one_slot=*/input.faithful);
    const Outputs outputs = outputs_of(model, batch.packed, rows.rows_A), before = outputs_of(*base, batch.packed, rows.rows_A);
    for (const auto& [place, h_AH] : outputs)
      sums_2L[place.second == models::Block::attention ? 0 : 1][place.first] +=
          (delta_of(h_AH, before.at(place), grams).cpu() * rows.weights_A.cpu()).sum();
  });
  mesh.data().all_reduce(sums_2L);
  mesh.pipeline().all_reduce(sums_2L);
  sums_2L /= static_cast<double>(input.count());
  return {{"value", sums_2L.mean().item<double>()},
          {"attention", numbers(sums_2L[0])},
          {"mlp", numbers(sums_2L[1])},
          {"samples", input.count()}};
}

}  // namespace retain::recipes
