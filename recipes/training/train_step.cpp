// SPDX-License-Identifier: Apache-2.0
// Forward, backward, reduce, clip, update.
#include "recipes/training/train_step.h"

#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <set>
#include <sstream>

#include "framework/base/error.h"
#include "parallel/gradient_norm.h"

namespace retain::recipes {

using framework::DType;
using framework::Error;
using framework::ErrorKind;

namespace {

constexpr std::size_t kNamed = 4;  // parameters named in a message

parallel::ParameterSet& marked(models::Lmm& model, const std::vector<Selected>& selected) {
  mark_trainable(model.parameters(), selected);
  return model.parameters();
}

std::vector<std::size_t> groups_of(const parallel::Gradients& gradients, const std::vector<Selected>& selected) {
  std::map<std::string, std::size_t> by_name;
  for (const Selected& one : selected) by_name[one.name] = one.group;
  std::vector<std::size_t> groups;
  for (std::size_t i = 0; i < gradients.size(); ++i) groups.push_back(by_name.at(gradients.parameter(i).spec.name));
  return groups;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (std::size_t i = 0; i < names.size() && i < kNamed; ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > kNamed) text += " and " + std::to_string(names.size() - kNamed) + " more";
  return text;
}

}  // namespace

parallel::AdamWSettings adamw_settings(const TrainSettings& settings) {
  parallel::AdamWSettings adamw;
  adamw.beta1 = settings.beta1;
  adamw.beta2 = settings.beta2;
  adamw.epsilon = settings.epsilon;
  adamw.weight_decay = settings.weight_decay;
  adamw.master_weights = settings.master_weights;
  adamw.moments = settings.moments;
  return adamw;
}

TrainStep::TrainStep(models::Lmm& model, const TrainSettings& settings, const std::vector<Selected>& selected, MethodRun* method)
    : model_(model),
      settings_(settings),
      method_(method),
      training_(stage_training(model.table(), selected, model.mesh().shape().pipeline)),
      gradients_(marked(model, selected), settings.master_weights ? DType::float32 : DType::bfloat16),
      reducer_(gradients_, model.mesh(), settings.zero),
      optimizer_(gradients_, reducer_, adamw_settings(settings)),
      runner_(model.mesh().pipeline()) {
  groups_ = groups_of(gradients_, selected);
}

StepResult TrainStep::run(std::span<const models::MicroBatch> batches, const std::vector<double>& rates) {
  const parallel::Mesh& mesh = model_.mesh();
  gradients_.clear();
  if (method_) method_->before_step(batches);
  LmmStage stage(model_, batches, training_, method_);
  const double loss_here = runner_.run(stage);
  parallel::ReducedGradients reduced = reducer_.reduce();
  const double term_here = method_ ? method_->after_reduction(gradients_, reduced, reducer_.sharded()) : 0;

  at::Tensor sums = at::zeros({2}, at::kDouble);
  const bool reports_loss = mesh.is_last_pipeline_stage() && mesh.tensor().rank() == 0;
  sums.data_ptr<double>()[0] = (reports_loss ? loss_here : 0) + term_here;
  sums.data_ptr<double>()[1] = parallel::squared_norm_part(gradients_, reduced.pieces, reducer_.sharded(), mesh);
  mesh.world().all_reduce(sums);

  StepResult result;
  result.savings = runner_.savings();
  result.loss = sums.data_ptr<double>()[0];
  result.grad_norm = std::sqrt(sums.data_ptr<double>()[1]);
  if (!std::isfinite(result.loss) || !std::isfinite(result.grad_norm)) {
    result.skipped = true;
    result.non_finite = name_non_finite(reduced);
    return result;
  }
  std::vector<double> by_parameter;
  for (const std::size_t group : groups_) by_parameter.push_back(rates.at(group));
  optimizer_.step(reduced, parallel::clip_coefficient(result.grad_norm, settings_.clip), by_parameter);
  reducer_.gather_parameters();
  return result;
}

/// Collective over the world: every rank learns the same names. Throws them unless settings say skip.
std::vector<std::string> TrainStep::name_non_finite(const parallel::ReducedGradients& reduced) {
  std::string mine;
  for (const std::string& name : parallel::non_finite_names(gradients_, reduced.pieces)) mine += name + "\n";
  std::set<std::string> all;
  for (const std::string& text : model_.mesh().world().gather_text(mine)) {
    std::istringstream lines(text);
    for (std::string name; std::getline(lines, name);) all.insert(name);
  }
  std::vector<std::string> names;
  for (const parallel::ParameterSpec& row : model_.table().rows())
    if (all.contains(row.name)) names.push_back(row.name);
  if (settings_.non_finite == OnBad::skip) return names;
  throw Error(ErrorKind::training_non_finite,
              {names.empty() ? "the loss is not finite" : "the gradient is not finite", "finite numbers",
               names.empty() ? "no parameter's gradient is affected" : "NaN or infinity in " + joined(names),
               "lower train.learning_rate or look at the batch; train.non_finite = \"skip\" passes over such steps"});
}

}  // namespace retain::recipes
