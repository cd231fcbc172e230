// SPDX-License-Identifier: Apache-2.0
// The term is added to gradients that were summed over the mesh already, so that every element gets it once.
#include "recipes/methods/l2.h"

#include <ATen/ATen.h>

#include "parallel/gradient_norm.h"
#include "recipes/training/reference_weights.h"

namespace retain::recipes {

namespace {

namespace json = framework::json;

class L2Run final : public MethodRun {
 public:
  L2Run(const MethodStart& start, double lambda) : mesh_(start.model.mesh()), anchor_(reference_weights(start)), lambda_(lambda) {}

  double after_reduction(const parallel::Gradients& gradients, parallel::ReducedGradients& reduced, bool sharded) override {
    const at::NoGradGuard no_gradient;
    double squares = 0;
    for (parallel::GradientPiece& piece : reduced.pieces) {
      const std::size_t i = piece.where.parameter;
      const parallel::Parameter& parameter = gradients.parameter(i);
      const auto part_of = [&](const at::Tensor& slice) {
        return slice.detach().view(-1).narrow(0, piece.where.begin, piece.where.size()).to(at::kFloat);
      };
      const at::Tensor away = part_of(parameter.value) - part_of(anchor_.at(parameter.spec.name));
      squares += parallel::squared_norm_part(gradients, {{piece.where, away}}, sharded, mesh_);
      const at::Tensor pull = (away * lambda_).to(gradients.type(i));
      piece.values = piece.values.defined() ? piece.values.add(pull) : pull;
    }
    reduced.defined.assign(reduced.defined.size(), true);
    return 0.5 * lambda_ * squares;
  }

 private:
  const parallel::Mesh& mesh_;
  parallel::ParameterSet anchor_;
  double lambda_;
};

}  // namespace

L2::L2(MethodSetup setup)
    : Method(std::move(setup.groups)),
      lambda_(setup.settings.number("lambda", std::nullopt, 0, 1e9)),
      anchor_(setup.settings.text("anchor", "previous")) {}

json::object L2::describe() const { return {{"method", "l2"}, {"lambda", lambda_}}; }

std::unique_ptr<MethodRun> L2::begin(const MethodStart& start) const { return std::make_unique<L2Run>(start, lambda_); }

}  // namespace retain::recipes
