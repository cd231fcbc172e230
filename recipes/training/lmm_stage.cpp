// SPDX-License-Identifier: Apache-2.0
// Adapter from the model's forward and loss to the pipeline runner.
#include "recipes/training/lmm_stage.h"

#include <ATen/ATen.h>

#include "framework/base/error.h"

namespace retain::recipes {

namespace {

bool needs_images(const std::string& name) {
  return name.starts_with("vision.") || name.starts_with("projector.") || name == "image_newline";
}

}  // namespace

StageTraining stage_training(const parallel::ParameterTable& table, const std::vector<Selected>& selected, int stages) {
  StageTraining training;
  training.always.resize(static_cast<std::size_t>(stages));
  training.with_images.resize(static_cast<std::size_t>(stages));
  for (const Selected& one : selected) {
    const parallel::ParameterSpec* spec = table.find(one.name);
    if (!spec) throw framework::Error(framework::ErrorKind::internal, "no parameter is called " + one.name);
    auto& flags = needs_images(one.name) ? training.with_images : training.always;
    for (const int stage : spec->pipeline_stages) flags.at(static_cast<std::size_t>(stage)) = true;
  }
  return training;
}

std::vector<std::int64_t> LmmStage::activation_shape(int micro_batch) const {
  return {batches_[static_cast<std::size_t>(micro_batch)].tokens(), model_.config().text.hidden};
}

at::ScalarType LmmStage::activation_type() const {
  const parallel::ParameterSpec* norm = model_.table().find("language.norm.weight");
  return norm && norm->dtype == framework::DType::bfloat16 ? at::kBFloat16 : at::kFloat;
}

bool LmmStage::trains(int pipeline_stage, int micro_batch) const {
  const auto stage = static_cast<std::size_t>(pipeline_stage);
  const bool has_images = !batches_[static_cast<std::size_t>(micro_batch)].images.empty();
  return training_.always[stage] || (has_images && training_.with_images[stage]);
}

at::Tensor LmmStage::forward(int micro_batch, const at::Tensor& input_TH) {
  const models::MicroBatch& batch = batches_[static_cast<std::size_t>(micro_batch)];
  const at::Tensor hidden_TH = model_.forward(batch, input_TH);
  if (!model_.mesh().is_last_pipeline_stage()) return hidden_TH;
  const at::Tensor loss = model_.loss(batch, hidden_TH);
  const at::Tensor term = method_ ? method_->loss_term(static_cast<std::size_t>(micro_batch), batch, hidden_TH) : at::Tensor();
  return term.defined() ? loss + term : loss;
}

}  // namespace retain::recipes
