// SPDX-License-Identifier: Apache-2.0
#include "recipes/methods/lora_layer.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <functional>

#include "framework/base/error.h"
#include "framework/base/random.h"
#include "parallel/comm/communicator.h"
#include "parallel/tensor/gemm.h"

namespace retain::recipes {

namespace {

/// The finaliser of splitmix64 (Steele, Lea and Flood 2014): every input bit reaches every output bit.
constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15ULL;

/// One row: four features from every 64 bits.
void fill_row(float* row, std::uint64_t key, parallel::Range features, std::uint64_t threshold, float kept) {
  std::uint64_t bits = 0;
  for (std::int64_t feature = features.begin; feature < features.end; ++feature) {
    const auto index = static_cast<std::uint64_t>(feature);
    if (feature == features.begin || index % 4 == 0) bits = mix(key + (index / 4 + 1) * kStep);
    *row++ = ((bits >> (16 * (index % 4))) & 0xffff) < threshold ? 0.0F : kept;
  }
}

}  // namespace

at::Tensor dropout_mask(const parallel::PackedRows& rows, std::uint64_t seed, const std::string& layer, double p, parallel::Range features,
                        at::ScalarType type) {
  const auto threshold = static_cast<std::uint64_t>(std::lround(p * 65536));
  const auto kept = static_cast<float>(65536.0 / static_cast<double>(65536 - threshold));
  const std::uint64_t stream = framework::Random(seed, "dropout/" + layer).next();
  at::Tensor mask_TI = at::empty({rows.starts.back(), features.size()}, at::kFloat);
  float* values = mask_TI.data_ptr<float>();
  for (std::size_t s = 0; s + 1 < rows.starts.size(); ++s) {
    const std::uint64_t sample = mix(stream + kStep * static_cast<std::uint64_t>(rows.numbers.at(s) + 1));
    const std::int64_t first = rows.starts[s];
    at::parallel_for(first, rows.starts[s + 1], 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t t = begin; t < end; ++t)
        fill_row(values + t * features.size(), mix(sample + kStep * static_cast<std::uint64_t>(t - first + 1)), features, threshold, kept);
    });
  }
  return mask_TI.to(type);
}

parallel::Extension::Computation LoraExtension::beside_linear(const parallel::ParameterSet& parameters, const std::string& prefix,
                                                              parallel::Communicator& group) const {
  if (!parameters.has(prefix + ".lora_A.weight")) return {};
  const parallel::Parameter& down = parameters.parameter(prefix + ".lora_A.weight");
  const at::Tensor a_RI = down.value, b_OR = parameters.at(prefix + ".lora_B.weight");
  parallel::Range features{0, a_RI.size(1)};
  if (down.spec.cut_dimension == 1) features = down.spec.cuts.at(static_cast<std::size_t>(group.rank()));
  return [a_RI, b_OR, features, prefix, scale = scale_, state = state_](const at::Tensor& x_TI) {
    at::Tensor input_TI = x_TI;
    if (state->training && state->dropout > 0) {
      if (!state->rows || state->rows->starts.back() != x_TI.size(0))
        throw framework::Error(framework::ErrorKind::internal, "dropout needs to know the rows of " + prefix);
      input_TI = x_TI * dropout_mask(*state->rows, state->seed, prefix, state->dropout, features, x_TI.scalar_type());
    }
    return parallel::apply_linear(parallel::apply_linear(input_TI, a_RI, {}) * scale, b_OR, {});
  };
}

}  // namespace retain::recipes
