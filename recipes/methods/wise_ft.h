// SPDX-License-Identifier: Apache-2.0
// WiSE-FT chained over a curriculum (Wortsman et al. 2022, arXiv 2109.01903; arXiv 2510.08564): after every stage
// θ ← α·θ_anchor + (1 − α)·θ_taught; the next stage trains from the average, and the average is what is measured.
#pragma once
#include <string>
#include <vector>

#include "recipes/methods/registry.h"

namespace retain::recipes {

/// A share of the anchor, of the tensors some patterns name.
struct BlendGroup {
  std::vector<std::string> patterns;
  double alpha = 0;
};

class WiseFt final : public Method {
 public:
  /// Keys: alpha (0.5), anchor ("previous"; "base" or any stage), [[group]] patterns, alpha. Throws Error(config_invalid) for an
  /// alpha outside 0..1.
  explicit WiseFt(MethodSetup setup);

  /// Empty: what a stage learns does not depend on it, so a plain recipe of the same parameters shares its taught stages.
  framework::json::object describe() const override { return {}; }
  std::vector<std::string> stages() const override { return {anchor_}; }
  /// The average as a stage with parents {anchor, taught}; in float32, rounded once; what is equal in both stays as it is.
  std::string settle(parallel::ShardedStore& store, const parallel::Mesh& mesh, const TaughtStage& stage) const override;
  std::string settled_key(parallel::ShardedStore& store, const TaughtStage& stage) const override;

 private:
  std::string anchor_of(parallel::ShardedStore& store, const TaughtStage& stage) const;
  /// Of the average, as its stage records them.
  framework::json::object inputs() const;

  double alpha_;
  std::string anchor_;
  std::vector<BlendGroup> blend_groups_;
};

/// The alpha of every tensor: that of the first group whose patterns name it, else `otherwise`. Throws
/// Error(recipe_matches_nothing) for a pattern without a tensor.
std::function<double(const std::string&)> blend_weights(const std::vector<std::string>& tensors, const std::vector<BlendGroup>& groups,
                                                        double otherwise);

}  // namespace retain::recipes
