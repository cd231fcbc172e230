// SPDX-License-Identifier: Apache-2.0
// Which elements of a local slice this rank counts, and the sums over them.
#include "parallel/gradient_norm.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "parallel/optimizer_kernels.h"

namespace retain::parallel {

namespace {

/// Flat range of a parameter's local slice that this rank counts.
Range counted(const Parameter& parameter, const Mesh& mesh) {
  const ParameterSpec& spec = parameter.spec;
  const std::int64_t elements = parameter.value.numel();
  if (spec.pipeline_stages.front() != mesh.position().pipeline) return {};
  if (spec.cut_dimension < 0) return mesh.tensor().rank() == 0 ? Range{0, elements} : Range{};
  if (!spec.overlapping()) return {0, elements};
  const Range own = spec.cuts.at(static_cast<std::size_t>(mesh.tensor().rank()));
  std::int64_t counted_before = own.begin;  // rows below this belong to an earlier tensor rank
  for (int r = 0; r < mesh.tensor().rank(); ++r)
    counted_before = std::max(counted_before, spec.cuts[static_cast<std::size_t>(r)].end);
  const std::int64_t row = own.size() > 0 ? elements / own.size() : 0;
  return {(std::min(counted_before, own.end) - own.begin) * row, elements};
}

}  // namespace

double squared_norm_part(const Gradients& gradients, const std::vector<GradientPiece>& pieces, bool sharded,
                         const Mesh& mesh) {
  if (!sharded && mesh.data().rank() != 0) return 0;
  double sum = 0;
  for (const GradientPiece& piece : pieces) {
    if (!piece.values.defined()) continue;
    const Range range = counted(gradients.parameter(piece.where.parameter), mesh);
    const std::int64_t begin = std::max(range.begin, piece.where.begin);
    const std::int64_t end = std::min(range.end, piece.where.end);
    if (begin < end) sum += sum_of_squares(piece.values.narrow(0, begin - piece.where.begin, end - begin));
  }
  return sum;
}

double clip_coefficient(double norm, double limit) {
  return limit > 0 ? std::min(1.0, limit / (norm + 1e-6)) : 1.0;
}

std::vector<std::string> non_finite_names(const Gradients& gradients, const std::vector<GradientPiece>& pieces) {
  std::vector<std::string> names;
  for (const GradientPiece& piece : pieces) {
    if (!piece.values.defined() || std::isfinite(sum_of_squares(piece.values))) continue;
    const std::string& name = gradients.parameter(piece.where.parameter).spec.name;
    if (names.empty() || names.back() != name) names.push_back(name);
  }
  return names;
}

}  // namespace retain::parallel
