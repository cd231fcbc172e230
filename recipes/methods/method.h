// SPDX-License-Identifier: Apache-2.0
// What a way of teaching adds to "these parameters, by cross-entropy": parameters of its own, a second loss term, a step after
// the stage. One class in recipes/methods and one line in its registry; nothing else knows the method.
// Shape suffixes: T packed tokens, H hidden.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/store/tensor_source.h"
#include "models/lmm/lmm.h"
#include "parallel/data_parallel.h"
#include "recipes/settings/train_settings.h"
#include "recipes/training/trainable.h"

namespace retain::parallel {
class ShardedStore;
}

namespace retain::recipes {

/// A stage that begins: the model holds the weights it starts from.
struct MethodStart {
  models::Lmm& model;                      ///< outlives the run
  const std::vector<Selected>& selected;   ///< what is trained, the method's own parameters included; outlives the run
  const TrainSettings& settings;
  /// The stage that Method::reference() names, and the one the model holds; null: the reference is what the model holds.
  const framework::TensorSource* reference = nullptr;
  const framework::TensorSource* parent = nullptr;
};

/// A method at work in one stage. Functions marked collective are called by every rank of the mesh in the same order.
class MethodRun {
 public:
  virtual ~MethodRun() = default;

  /// Collective, before the passes of a step. `batches`: this replica's micro-batches, the same on all its ranks.
  virtual void before_step(std::span<const models::MicroBatch> batches);

  /// Last pipeline stage, collective over its tensor group: a float32 scalar that is added to the micro-batch's loss, the same
  /// on all tensor ranks, already weighted so that sums over micro-batches are the global batch's; undefined: nothing.
  virtual at::Tensor loss_term(std::size_t micro_batch, const models::MicroBatch& batch, const at::Tensor& hidden_TH);

  /// After gradients were summed over the mesh and before they are clipped: may change `reduced`, the same on every rank that
  /// holds an element. Returns this rank's part of a term of the loss; the parts of all ranks are added.
  virtual double after_reduction(const parallel::Gradients& gradients, parallel::ReducedGradients& reduced, bool sharded);

  /// Collective, after the last step; `batches`: those of that step. May change the model. What is measured is returned for
  /// the stage's record.
  virtual framework::json::object finish(std::span<const models::MicroBatch> batches);
};

/// Where a method's own parameter begins.
struct OwnStart {
  const models::LmmConfig& config;
  const parallel::ParameterSet& model;  ///< the model's own parameters of this rank
  int tensor_rank = 0;
  std::uint64_t seed = 0;               ///< of the stage
  std::string stream;                   ///< names the stage's random streams
  bool first = false;                   ///< the branch's first stage, taught from its origin
};

/// The stages that one taught stage stands between.
struct TaughtStage {
  std::string base;    ///< the branch's origin
  std::string before;  ///< where the stage began
  std::string taught;  ///< where training ended
};

/// Immutable and shared by all stages of a recipe.
class Method {
 public:
  explicit Method(std::vector<TrainableGroup> groups) : groups_(std::move(groups)) {}
  virtual ~Method() = default;

  /// Everything that decides what a stage learns beside groups and training settings, defaults filled in, with the method's
  /// name under "method": enters the stage's memo key and inputs. Empty for what works on taught stages alone.
  virtual framework::json::object describe() const = 0;
  /// The same of one stage, where some of it decides nothing: the branch's `first`, or a later one.
  virtual framework::json::object describe_stage(bool first) const;

  /// Before any work: throws where a file that the settings name does not fit the model. `table` holds the method's own parameters.
  virtual void check(const models::LmmConfig& config, const parallel::ParameterTable& table) const;

  /// Of a table that holds the method's own parameters: what is trained, in table order. Throws as recipes::select does.
  virtual std::vector<Selected> select(const parallel::ParameterTable& table) const;

  /// Rows of the method's own parameters, given the model's; names no model has.
  virtual std::vector<parallel::ParameterSpec> own_parameters(const parallel::ParameterTable& table) const;
  /// Fills such a parameter where the stage to start from has none; the values are a function of seed, stream, name and the
  /// model's weights, whatever the mesh.
  virtual void initialise(parallel::Parameter& parameter, const OwnStart& start) const;
  /// What layers compute with such parameters; null: nothing.
  virtual std::shared_ptr<parallel::Extension> extension(const parallel::ParameterTable& table) const;
  /// Whether they are in the stage that training leaves (true), or have been worked into the model's own (false).
  virtual bool keeps_own_parameters() const { return true; }
  /// Parameters of the model that a stage changes, in table order: those it trains by default.
  virtual std::vector<std::string> changed(const parallel::ParameterTable& table) const;

  /// Records of earlier tasks among a stage's, as a share of its task's own; 0: none.
  virtual double replayed() const { return 0; }

  /// The stage a run compares with: "previous", "base", or a branch, tag or id of the store.
  virtual std::string reference() const { return "previous"; }
  /// Every such name the method uses: looked up before any work.
  virtual std::vector<std::string> stages() const { return {reference()}; }
  /// Collective. Null where there is nothing to do while a stage is taught.
  virtual std::unique_ptr<MethodRun> begin(const MethodStart& start) const;

  /// Ways in which its model computes when it is measured; the first is what a score without a name means.
  virtual std::vector<std::string> readings() const { return {""}; }
  /// Makes the model compute so from now on (training brings its own way).
  virtual void read_as(models::Lmm& model, const std::string& reading) const;

  /// Bytes a rank holds beside the parameters, given those of what it trains.
  virtual std::int64_t bytes_beside(std::int64_t trained_bytes) const;

  /// Collective over the mesh: the stage that the branch goes on from and that is measured; memoised in the store under
  /// settled_key().
  virtual std::string settle(parallel::ShardedStore& store, const parallel::Mesh& mesh, const TaughtStage& stage) const;

  /// Collective: empty where that is the taught stage itself; a method with a settle() of its own says its key here.
  virtual std::string settled_key(parallel::ShardedStore& store, const TaughtStage& stage) const;

  const std::vector<TrainableGroup>& groups() const noexcept { return groups_; }

 private:
  std::vector<TrainableGroup> groups_;
};

/// What a recipe trains under a method, or without one (null).
std::vector<Selected> select(const parallel::ParameterTable& table, const std::vector<TrainableGroup>& groups, const Method* method);

/// Ways in which a recipe's model is measured; one nameless where it has no method.
std::vector<std::string> readings_of(const Method* method);

/// The model's rows, then the method's. Null: the model's alone.
parallel::ParameterTable extended_table(const parallel::ParameterTable& table, const Method* method);

}  // namespace retain::recipes
