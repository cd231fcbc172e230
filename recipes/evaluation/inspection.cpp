// SPDX-License-Identifier: Apache-2.0
#include "recipes/evaluation/inspection.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "models/lmm/inference.h"
#include "parallel/data_parallel.h"
#include "parallel/pipeline/runner.h"
#include "recipes/training/lmm_stage.h"

namespace retain::recipes {
namespace {

/// A whole tensor from the slices of the owner's tensor group, on every rank of the replica. Rows that several tensor ranks
/// hold are taken from the first of them.
at::Tensor assemble(const parallel::ParameterSpec& spec, const at::Tensor& local, const parallel::Mesh& mesh) {
  at::Tensor whole = at::zeros(spec.shape, at::kFloat);
  const int owner = spec.pipeline_stages.front();
  if (mesh.position().pipeline == owner && local.defined()) {
    const auto rank = static_cast<std::size_t>(mesh.position().tensor);
    if (spec.cut_dimension < 0) {
      if (rank == 0) whole.copy_(local.view(spec.shape));
    } else {
      const parallel::Range cut = spec.cuts.at(rank);
      const std::int64_t begin = rank == 0 ? cut.begin : std::clamp(spec.cuts[rank - 1].end, cut.begin, cut.end);
      const at::Tensor slice = local.view(spec.local_shape(static_cast<int>(rank)));
      spec.block_view(whole, {begin, cut.end}).copy_(spec.block_view(slice, {begin - cut.begin, cut.size()}));
    }
  }
  mesh.tensor().all_reduce(whole);
  mesh.pipeline().broadcast(whole, owner);
  return whole;
}

}  // namespace

std::vector<SampleView> view_samples(models::Lmm& model, std::span<const models::Sample> samples) {
  const at::NoGradGuard no_gradient;
  const parallel::Mesh& mesh = model.mesh();
  std::vector<SampleView> views;
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const models::MicroBatch batch = models::pack(samples.subspan(i, 1), models::LossAverage::sample, 1, 1);
    const at::Tensor hidden_SH = models::forward_through_pipeline(model, batch);
    at::Tensor logits_SV = at::empty({batch.tokens(), model.config().text.vocabulary}, at::kFloat);
    at::Tensor loss = at::zeros({1}, at::kFloat);
    if (mesh.is_last_pipeline_stage()) {
      logits_SV = model.logits(hidden_SH, at::arange(batch.tokens(), at::kLong)).contiguous();
      loss = model.loss(batch, hidden_SH).reshape({1}).contiguous();
    }
    mesh.pipeline().broadcast(logits_SV, mesh.shape().pipeline - 1);
    mesh.pipeline().broadcast(loss, mesh.shape().pipeline - 1);
    views.push_back({logits_SV, loss.item<double>()});
  }
  return views;
}

std::map<std::string, at::Tensor> gradients_of(models::Lmm& model, std::span<const models::Sample> samples,
                                               const std::vector<std::string>& names) {
  std::vector<Selected> selected;
  for (const parallel::ParameterSpec& row : model.table().rows())
    if (std::find(names.begin(), names.end(), row.name) != names.end()) selected.push_back({row.name, 0});
  mark_trainable(model.parameters(), selected);
  const StageTraining training = stage_training(model.table(), selected, model.mesh().shape().pipeline);
  // Every replica computes all samples, and the reduction adds the replicas up.
  const auto counted = static_cast<std::int64_t>(samples.size()) * model.mesh().shape().data;
  std::vector<models::MicroBatch> batches;
  for (std::size_t i = 0; i < samples.size(); ++i)
    batches.push_back(models::pack(samples.subspan(i, 1), models::LossAverage::sample, counted, 1));
  parallel::Gradients gradients(model.parameters(), framework::DType::float32);
  parallel::GradientReducer reducer(gradients, model.mesh(), false);
  LmmStage stage(model, batches, training);
  parallel::PipelineRunner(model.mesh().pipeline()).run(stage);

  std::map<std::string, at::Tensor> local;
  for (const parallel::GradientPiece& piece : reducer.reduce().pieces) {
    const parallel::ParameterSpec& spec = gradients.parameter(piece.where.parameter).spec;
    at::Tensor& flat = local[spec.name];
    const std::int64_t elements = framework::elements_of(spec.local_shape(model.mesh().position().tensor));
    if (!flat.defined()) flat = at::zeros({elements}, at::kFloat);
    if (piece.values.defined()) flat.narrow(0, piece.where.begin, piece.where.size()).copy_(piece.values);
  }
  std::map<std::string, at::Tensor> whole;
  for (const Selected& one : selected) whole[one.name] = assemble(*model.table().find(one.name), local[one.name], model.mesh());
  return whole;
}

}  // namespace retain::recipes
