// SPDX-License-Identifier: Apache-2.0
// One curriculum stage: a task's records taught to the model under one recipe.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/log.h"
#include "framework/data/sampler.h"
#include "recipes/records/batch_loader.h"
#include "recipes/records/record_scan.h"
#include "recipes/training/step_log.h"
#include "recipes/training/train_state.h"
#include "recipes/training/train_step.h"

namespace retain::recipes {

/// What is to happen after a look at the weights.
enum class Inspection { go_on, finish };

/// What the trainer asks of its surroundings. Empty functions are not called.
struct TrainerHooks {
  std::function<void(const StepRecord&)> on_step;  ///< on every rank, after every step
  std::function<bool()> stop_requested;            ///< asked before every step; one rank's yes stops all
  std::function<void(std::int64_t next_step)> save;  ///< collective: keep a checkpoint, usually by Trainer::save()
  /// Asked on every rank before every step: is a file still being written in the background?
  std::function<bool()> writing;
  /// Collective, before the first step and after every one but the last, with the steps done so far; the model computes as when it
  /// is measured, and may only be looked at. May call Trainer::resume().
  std::function<Inspection(std::int64_t steps)> inspect;
  std::function<void()> settle;                    ///< collective, before every step at which no rank is writing
};

struct TrainOutcome {
  std::int64_t next_step = 0;       ///< optimizer steps done since the stage began
  bool finished = false;            ///< false: asked to stop, and saved. True also where an inspection ended it early
  std::int64_t skipped_steps = 0;   ///< in this run, not finite
  std::int64_t left_out = 0;        ///< in this run, records whose pictures could not be read
  parallel::PipelineSavings savings;  ///< in this run and on this rank: what freezing spared
  framework::json::object method;     ///< what the method measured at the end of the stage
};

/// Warns, on the rank that writes `store`, of checkpoints that were passed over, and says what is done `instead`.
void warn_of_damaged(const framework::Log& log, const parallel::ShardedStore& store, const std::vector<std::string>& damaged,
                     const std::string& instead);

/// A method, where the recipe has one, and the stages it compares with (see MethodStart). All may be null.
struct TrainerMethod {
  const Method* method = nullptr;
  const framework::TensorSource* reference = nullptr;
  const framework::TensorSource* parent = nullptr;
};

class Trainer {
 public:
  /// Collective over the model's mesh: selects and marks what is trained, scans the records, takes the optimizer's memory.
  /// `model`, `source` and `log` outlive this. `stream` names the random stream of the data order (one a task).
  /// `model` holds the weights the stage starts from, also where resume() follows.
  /// Throws what select(), scan_records() and framework::Sampler throw.
  Trainer(models::Lmm& model, const SampleSource& source, TrainSettings settings,
          const std::vector<TrainableGroup>& groups, const framework::Log& log, TrainerHooks hooks,
          OnBad bad_records = OnBad::stop, std::string stream = "data", const TrainerMethod& method = {});

  std::int64_t total_steps() const noexcept { return total_steps_; }
  std::int64_t next_step() const noexcept { return next_step_; }
  /// Packed tokens of the first `steps` steps, pictures expanded, before any record turns out to be unreadable.
  std::int64_t tokens_of(std::int64_t steps) const;
  const RecordScan& scan() const noexcept { return scan_; }
  const std::vector<Selected>& selected() const noexcept { return selected_; }
  const framework::Sampler& sampler() const noexcept { return sampler_; }

  /// Collective: keeps weights, optimizer state and position as the newest checkpoint of `run_key`; the one before
  /// stays, for the day this one is damaged, and older ones go.
  /// `parents`: the stage ids this stage is trained from.
  void save(parallel::ShardedStore& store, const std::string& run_key, const std::vector<std::string>& parents);
  /// Collective: goes on from the newest intact checkpoint of `run_key`, written on this or any other mesh; the log names damaged
  /// ones. False when there is none: nothing was changed. Throws Error(store_invalid) when it is of another run, Error(io) when there
  /// is none intact and one that cannot be read. An inspection may call it in the middle of run().
  bool resume(parallel::ShardedStore& store, const std::string& run_key);
  /// The same from a checkpoint that ShardedStore::latest_progress found.
  void resume(parallel::ShardedStore& store, const std::string& run_key, const parallel::ShardedStore::Progress& progress);

  /// Kept with every checkpoint, and given back by resume(): whatever decides beside weights and optimizer how the stage goes on.
  const framework::json::object& notes() const noexcept { return notes_; }
  void set_notes(framework::json::object notes) { notes_ = std::move(notes); }
  /// From the next step on every learning rate is the schedule's times `factor`.
  void scale_rates(double factor) { rate_scale_ = factor; }

  /// Collective: trains from next_step() to the end, or until somebody asks to stop.
  TrainOutcome run();

 private:
  enum class Control { proceed, stop };
  TrainState state() { return {model_, step_, selected_}; }
  Control agree(std::vector<bool>& left_out);
  StepRecord take_step(const LoadedBatch& batch);

  models::Lmm& model_;
  TrainSettings settings_;
  std::vector<double> group_rates_;
  const framework::Log& log_;
  TrainerHooks hooks_;
  std::vector<Selected> selected_;
  std::unique_ptr<MethodRun> method_;
  RecordScan scan_;
  framework::Sampler sampler_;
  std::int64_t total_steps_ = 0;
  std::int64_t warmup_steps_ = 0;
  std::int64_t next_step_ = 0;
  double rate_scale_ = 1;
  framework::json::object notes_;
  parallel::PipelineSavings savings_;
  TrainStep step_;
  BatchLoader loader_;
};

}  // namespace retain::recipes
