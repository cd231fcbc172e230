// SPDX-License-Identifier: Apache-2.0
// The loop over optimizer steps.
#include "recipes/training/trainer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "framework/base/error.h"
#include "recipes/training/schedule.h"

namespace retain::recipes {

using framework::Cursor;
using framework::Error;
using framework::ErrorKind;

namespace {

constexpr std::size_t kCheckpointsKept = 2;  // a damaged one does not cost the stage

framework::Sampler make_sampler(const RecordScan& scan, const TrainSettings& settings, std::string stream) {
  framework::SamplerOptions options;
  options.seed = settings.seed;
  options.stream = std::move(stream);
  options.shuffle = settings.shuffle;
  options.keep_incomplete = !settings.drop_last;
  options.global_batch = settings.global_batch;
  return {scan.usable, options};
}

std::vector<double> base_rates(const std::vector<TrainableGroup>& groups, double learning_rate) {
  std::vector<double> rates;
  for (const TrainableGroup& group : groups) rates.push_back(group.learning_rate > 0 ? group.learning_rate : learning_rate);
  return rates;
}

}  // namespace

void warn_of_damaged(const framework::Log& log, const parallel::ShardedStore& store, const std::vector<std::string>& damaged,
                     const std::string& instead) {
  for (const std::string& message : damaged)
    if (store.is_author()) log.warn("a checkpoint cannot be used: " + message + "; " + instead);
}

Trainer::Trainer(models::Lmm& model, const SampleSource& source, TrainSettings settings,
                 const std::vector<TrainableGroup>& groups, const framework::Log& log, TrainerHooks hooks,
                 OnBad bad_records, std::string stream, const TrainerMethod& method)
    : model_(model),
      settings_(std::move(settings)),
      group_rates_(base_rates(groups, settings_.learning_rate)),
      log_(log),
      hooks_(std::move(hooks)),
      selected_(select(model.table(), groups, method.method)),
      method_(method.method ? method.method->begin({model, selected_, settings_, method.reference, method.parent}) : nullptr),
      scan_(scan_records(source, model.mesh().world(), {settings_.max_length, settings_.over_length, bad_records}, log)),
      sampler_(make_sampler(scan_, settings_, std::move(stream))),
      step_(model, settings_, selected_, method_.get()),
      loader_(source, scan_, sampler_, model.mesh(), settings_, bad_records) {
  total_steps_ = settings_.epochs * sampler_.steps_per_epoch();
  if (settings_.max_steps > 0) total_steps_ = std::min(total_steps_, settings_.max_steps);
  warmup_steps_ = warmup_steps(settings_.warmup_ratio, total_steps_);
}

std::int64_t Trainer::tokens_of(std::int64_t steps) const {
  std::int64_t tokens = 0;
  for (std::int64_t epoch = 0; steps > 0; ++epoch, steps -= sampler_.steps_per_epoch()) {
    const std::vector<std::int64_t> order = sampler_.order(epoch);
    const auto seen = std::min(
        static_cast<std::size_t>(std::min(steps, sampler_.steps_per_epoch()) * settings_.global_batch), order.size());
    for (std::size_t i = 0; i < seen; ++i) tokens += scan_.sizes[static_cast<std::size_t>(order[i])].tokens;
  }
  return tokens;
}

void Trainer::save(parallel::ShardedStore& store, const std::string& run_key, const std::vector<std::string>& parents) {
  framework::StageDraft draft;
  draft.parents = parents;
  draft.inputs = state().describe(next_step_);
  if (!notes_.empty()) draft.inputs["notes"] = notes_;
  store.put_progress(run_key, next_step_, std::move(draft), state().arrays(), kCheckpointsKept);
}

bool Trainer::resume(parallel::ShardedStore& store, const std::string& run_key) {
  framework::PassedOver passed;
  const auto progress = store.latest_progress(run_key, &passed);
  if (!progress) passed.require_readable();
  warn_of_damaged(log_, store, passed.damaged, progress ? "going on from step " + std::to_string(progress->step) : "there is no older one");
  if (progress) resume(store, run_key, *progress);
  return progress.has_value();
}

void Trainer::resume(parallel::ShardedStore& store, const std::string& run_key, const parallel::ShardedStore::Progress& progress) {
  const std::int64_t next_step = state().restore(progress.inputs);
  if (next_step < 0 || next_step > total_steps_)
    throw Error(ErrorKind::store_invalid,
                {"a checkpoint is of another run", "a step in 0 to " + std::to_string(total_steps_),
                 std::to_string(next_step), "remove the checkpoint; the stage then starts again"});
  store.read_progress(run_key, progress.step, state().arrays());
  next_step_ = next_step;
  const framework::json::value* notes = progress.inputs.if_contains("notes");
  notes_ = notes ? notes->as_object() : framework::json::object();
}

TrainOutcome Trainer::run() {
  TrainOutcome outcome;
  std::int64_t saved = next_step_;
  bool ended = false;
  if (next_step_ == 0 && hooks_.inspect) hooks_.inspect(0);
  while (!ended && next_step_ < total_steps_) {
    const auto begin = std::chrono::steady_clock::now();
    std::vector<bool> left_out;
    if (agree(left_out) == Control::stop) break;
    std::optional<Cursor> coming;
    if (next_step_ + 1 < total_steps_) coming = sampler_.at(next_step_ + 1);
    const LoadedBatch batch = loader_.pack(left_out, coming);
    StepRecord record = take_step(batch);
    record.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    outcome.skipped_steps += record.skipped;
    outcome.left_out += batch.left_out;
    ++next_step_;
    if (hooks_.on_step) hooks_.on_step(record);
    ended = next_step_ == total_steps_ || (hooks_.inspect && hooks_.inspect(next_step_) == Inspection::finish);
    if (method_ && ended) outcome.method = method_->finish(batch.micro_batches);
    const bool due = settings_.save_every > 0 && next_step_ % settings_.save_every == 0 && !ended;
    if (due && hooks_.save) {
      hooks_.save(next_step_);
      saved = next_step_;
    }
  }
  outcome.next_step = next_step_;
  outcome.finished = ended || next_step_ == total_steps_;
  outcome.savings = std::exchange(savings_, {});
  if (!outcome.finished && saved != next_step_ && hooks_.save) hooks_.save(next_step_);
  return outcome;
}

/// Waits for the batch of this step, then lets all ranks agree on which of its samples are missing, on whether to stop, and on
/// whether a file written in the background is complete.
Trainer::Control Trainer::agree(std::vector<bool>& left_out) {
  const std::vector<std::int64_t>& failed = loader_.wait(sampler_.at(next_step_));
  const std::int64_t slots = loader_.slots();
  at::Tensor flags = at::zeros({slots + 2}, at::kInt);
  auto* flag = flags.data_ptr<std::int32_t>();
  for (std::size_t i = 0; i < failed.size(); ++i) {
    flag[failed[i]] = 1;
    if (model_.mesh().tensor().rank() == 0) log_.warn("left out: " + loader_.reason(i));
  }
  flag[slots] = hooks_.stop_requested && hooks_.stop_requested() ? 1 : 0;
  flag[slots + 1] = hooks_.writing && hooks_.writing() ? 1 : 0;
  model_.mesh().world().all_reduce(flags, parallel::ReduceOp::max);
  if (flag[slots + 1] == 0 && hooks_.settle) hooks_.settle();
  left_out.assign(flag, flag + slots);
  return flag[slots] ? Control::stop : Control::proceed;
}

StepRecord Trainer::take_step(const LoadedBatch& batch) {
  const double factor = learning_rate_factor(settings_.schedule, next_step_, warmup_steps_, total_steps_);
  std::vector<double> rates = group_rates_;
  for (double& rate : rates) rate *= factor * rate_scale_;
  StepRecord record;
  record.step = next_step_;
  record.learning_rate = rates.front();
  record.tokens = batch.tokens;
  record.answers = batch.answers;
  record.samples = batch.samples;
  if (batch.samples == 0) {
    record.skipped = true;
    return record;
  }
  const StepResult result = step_.run(batch.micro_batches, rates);
  record.loss = result.loss;
  record.grad_norm = result.grad_norm;
  record.skipped = result.skipped;
  savings_.backward_passes += result.savings.backward_passes;
  savings_.gradient_bytes += result.savings.gradient_bytes;
  if (result.skipped)
    log_.info("step " + std::to_string(next_step_) + " was skipped: not finite" +
              (result.non_finite.empty() ? std::string() : " in " + result.non_finite.front()));
  return record;
}

}  // namespace retain::recipes
