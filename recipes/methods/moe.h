// SPDX-License-Identifier: Apache-2.0
// A mixture of two experts in every decoder layer's MLP (arXiv 2510.08564): the frozen original and a trained copy, blended by
// a router. Training blends both densely by softmax; evaluation, as released, takes the likelier one alone ("top1"), or blends
// as training does ("blend"). Shape suffixes: T packed tokens, H hidden.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "recipes/methods/registry.h"

namespace retain::recipes {

class Moe final : public Method {
 public:
  /// Key: router_deviation (0.02). The patterns name parameters of decoder MLPs; the expert's counterparts train.
  explicit Moe(MethodSetup setup);

  framework::json::object describe() const override;
  std::vector<Selected> select(const parallel::ParameterTable& table) const override;
  /// "…mlp.expert.{gate,up,down}_proj.weight", "…mlp.router.weight" [2,H] and "…mlp.router.bias" [2] of every MLP named.
  std::vector<parallel::ParameterSpec> own_parameters(const parallel::ParameterTable& table) const override;
  /// The expert: a copy of the original; the router: normal of router_deviation, bias zero.
  void initialise(parallel::Parameter& parameter, const OwnStart& start) const override;
  std::shared_ptr<parallel::Extension> extension(const parallel::ParameterTable& table) const override;
  std::unique_ptr<MethodRun> begin(const MethodStart& start) const override;
  std::vector<std::string> readings() const override { return {"top1", "blend"}; }
  void read_as(models::Lmm& model, const std::string& reading) const override;

 private:
  /// Prefixes "language.layers.3.mlp." of the MLPs that get an expert, with the group of each of their parameters that trains.
  std::vector<Selected> tuned(const parallel::ParameterTable& table) const;

  double router_deviation_;
};

}  // namespace retain::recipes
