// SPDX-License-Identifier: Apache-2.0
// The main job: every recipe teaches the tasks one after another to its own branch of the same base; every stage is
// committed, evaluated and probed. Each step is memoised by its inputs, so the same run again goes on where it was.
#pragma once
#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "framework/base/log.h"
#include "framework/report/study.h"
#include "framework/store/stage_reader.h"
#include "parallel/sharded_store.h"
#include "recipes/settings/experiment.h"
#include "recipes/study/model_kit.h"
#include "recipes/study/shared_work.h"
#include "recipes/study/stage_inspection.h"
#include "recipes/study/stage_measures.h"
#include "recipes/training/step_log.h"

namespace retain::recipes {

class Curriculum {
 public:
  /// Collective over all groups, of which `mesh` lies over this rank's. All arguments outlive this; `stop` set on any rank ends the
  /// run at the next step, saved, or before the next batch of a benchmark.
  /// Reads every data file first, so that bad input stops before any work. Throws what ModelKit, ShardedStore, RecordSet and
  /// read_questions throw.
  Curriculum(const Experiment& experiment, const parallel::RankGroups& groups, const parallel::Mesh& mesh, const framework::Log& log,
             const std::atomic<bool>& stop);
  ~Curriculum();

  /// Collective. False when it was asked to stop; then the same run later goes on from there.
  bool run();
  /// What has been measured so far, on the ranks of the first group.
  const framework::Study& study() const noexcept { return study_; }

 private:
  struct LoadedTask;
  struct Lesson;
  struct Stopped {};  ///< thrown out of measuring
  struct Taught {
    std::string stage;
    framework::Budget budget;
    std::vector<framework::StudyStep> steps;  ///< that probes looked at
  };
  /// How a branch is gone through: taught where its stages are not kept; or all are, and they are put into the study alone, or its
  /// ref is moved along too.
  enum class Walk { teach, show, point };

  bool go_through_all();
  std::string import_base();
  /// The stage a recipe's method compares with; null: the one it starts from.
  std::unique_ptr<framework::StageReader> open_reference(const Recipe& recipe, const std::string& parent) const;
  /// The first `places` stages of the branch. False when it was asked to stop.
  bool go_through(const PlannedBranch& branch, std::size_t places, Walk walk);
  /// The stage that a branch goes on from and that is measured, taught from `parent` or kept; nullopt: asked to stop.
  std::optional<Taught> pass(const PlannedBranch& branch, std::size_t place, const std::string& parent);
  framework::StudyPoint measure(const std::string& stage, const std::string& task, const std::string& reading);
  std::string key_of(const PlannedBranch& branch, std::size_t place, const std::string& parent);

  /// The stage that the key's teaching made, as this branch is to see it: also one that gc removed, for as long as its weights are
  /// needed for nothing; else what taught it again. nullopt: it is to be taught; `reason` then says why again.
  std::optional<framework::MadeStage> find_taught(const PlannedBranch& branch, std::size_t place, const std::string& parent,
                                                  const std::string& key, std::string* reason = nullptr);
  /// What anybody on this branch needs the weights for of what was taught at `place`; empty: for nothing, since what comes of it
  /// is measured, and the branch goes on with stages that are there.
  std::string needed_for(const PlannedBranch& branch, std::size_t place, std::string parent, framework::MadeStage taught);
  /// What the recipe's method makes of a taught stage, if it has.
  std::optional<framework::MadeStage> find_settled(const PlannedBranch& branch, const std::string& parent,
                                                   const framework::MadeStage& taught);
  /// The same, made where it is not there and needed.
  std::string settle(const PlannedBranch& branch, std::size_t place, const std::string& parent, const std::string& taught);

  /// Several groups share the stages out among themselves. False when one was asked to stop.
  bool teach_side_by_side();
  bool teach_shared(SharedWork& work, std::size_t index, const std::vector<const PlannedBranch*>& through);
  /// The kept stages of the branch before `place`, in order; the base first.
  std::vector<std::string> stages_before(const PlannedBranch& branch, std::size_t place);
  void await_kept(const PlannedBranch& branch, std::size_t place, const std::string& parent);
  /// The study as far as all groups together have measured it.
  void show_measured(SharedWork& work, const std::vector<PlannedBranch>& branches, const StudyTree& tree);
  bool stop_requested() const { return work_ ? work_->stop_requested() : stop_.load(); }
  /// Collective: throws Stopped on all ranks of the group where one was asked to stop.
  void heed_stop() const;

  /// The task at a place of the branch's order, as the branch teaches it.
  Lesson lesson_of(const PlannedBranch& branch, std::size_t place) const;
  /// What a taught stage is remembered by.
  framework::json::object teach_inputs(const Lesson& lesson, const std::string& parent, const framework::StageReader* reference) const;
  /// The stage, and what it was taught with; nullopt: asked to stop.
  std::optional<Taught> teach(const Lesson& lesson, const std::string& parent);
  TrainerHooks hooks_of_run();
  StageInspection inspection_of(const std::string& key, const Lesson& lesson, const std::string& parent) const;
  /// What is kept of a taught stage.
  Taught remember(const std::string& stage, const Lesson& lesson, const std::string& key);
  framework::Budget budget_of(const Lesson& lesson, const std::string& key);
  /// The table of what a recipe trains, once a recipe.
  void plan_memory();
  void announce(const Lesson& lesson, const parallel::ParameterTable& table, const std::vector<Selected>& selected);
  std::string commit(models::Lmm& model, framework::StageDraft draft, const std::string& key, const Lesson& lesson);
  /// Moves the branch to the stage; where it `goes_on` from there, only unless it has been there, or gc removed the stage.
  void point_branch(const std::string& branch, const std::string& stage, bool goes_on = false);
  void keep_study();

  const Experiment& experiment_;
  const parallel::RankGroups& groups_;
  const parallel::Mesh& mesh_;
  const framework::Log& log_;
  const std::atomic<bool>& stop_;
  ModelKit kit_;
  std::unique_ptr<parallel::ShardedStore> store_;
  std::unique_ptr<StageModel> model_;
  std::unique_ptr<StageMeasures> measures_;
  std::unique_ptr<StepLog> step_log_;
  std::vector<LoadedTask> tasks_;
  std::int64_t memory_before_;           ///< bytes held before anything was loaded
  std::map<std::string, std::int64_t> planned_;  ///< bytes this rank will need, by recipe
  std::string committing_;               ///< memo key of the stage that is being written
  std::set<std::string> announced_;      ///< recipes whose tables were printed
  SharedWork* work_ = nullptr;           ///< while several groups share it
  bool quiet_ = false;                   ///< what is kept is not announced
  std::map<std::string, framework::StudyPoint> measured_;  ///< by stage and reading
  framework::Study study_;
};

}  // namespace retain::recipes
