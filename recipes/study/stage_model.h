// SPDX-License-Identifier: Apache-2.0
// The one model a run holds: loaded with a stage's weights when they are needed, and kept for as long as nobody asks for others.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "framework/base/log.h"
#include "parallel/sharded_store.h"
#include "recipes/settings/experiment.h"
#include "recipes/study/model_kit.h"

namespace retain::recipes {

class StageModel {
 public:
  /// All arguments outlive this.
  StageModel(const ModelKit& kit, parallel::ShardedStore& store, const Experiment& experiment, const framework::Log& log);

  /// Collective: the stage's weights, computing as `reading` says (see Method::readings; empty: the first). Throws what
  /// ModelKit::load and method_in throw.
  models::Lmm& use(const std::string& stage, const std::string& reading = {});
  /// Collective: the same weights, with `method`'s own parameters where the stage has none. `first`: it is a branch's origin. What
  /// the model is taught from here on makes it no stage's until becomes().
  models::Lmm& begin_teaching(const std::string& stage, const std::shared_ptr<const Method>& method, std::uint64_t seed,
                              const std::string& stream, bool first);
  /// The weights are now those of this stage.
  void becomes(const std::string& stage) { stage_ = stage; }
  void release() { model_.reset(); }

  /// Frozen vision features, kept from model to model.
  const models::FeatureCache& features() const noexcept { return features_; }

 private:
  void load(const std::string& stage, const ModelMethod& with);

  const ModelKit& kit_;
  parallel::ShardedStore& store_;
  const Experiment& experiment_;
  const framework::Log& log_;
  models::FeatureCache features_;
  std::shared_ptr<const Method> method_;  ///< whose parameters model_ carries
  std::unique_ptr<models::Lmm> model_;
  std::string stage_;                     ///< whose weights model_ holds; empty while it is being taught
};

}  // namespace retain::recipes
