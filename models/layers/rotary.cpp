// SPDX-License-Identifier: Apache-2.0
// (a, b) → (a·cos − b·sin, b·cos + a·sin) for the halves a, b of a head; the gradient turns by the opposite angle.
#include "models/layers/rotary.h"

#include <cmath>

#include "framework/base/error.h"
#include "framework/base/simd.h"

namespace retain::models {
namespace {

namespace simd = framework::simd;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// Tokens [begin, end); `direction` is 1 or −1.
template <typename Value>
[[gnu::always_inline]] inline void turn(const Value* x, const float* cosine, const float* sine, Value* y,
                                        std::int64_t begin, std::int64_t end, std::int64_t heads, std::int64_t half,
                                        float direction) {
  for (std::int64_t token = begin; token < end; ++token) {
    const float* c = cosine + token * half;
    const float* s = sine + token * half;
    for (std::int64_t head = 0; head < heads; ++head) {
      const Value* from = x + (token * heads + head) * 2 * half;
      Value* to = y + (token * heads + head) * 2 * half;
#pragma omp simd
      for (std::int64_t i = 0; i < half; ++i) {
        const float a = simd::load(from[i]), b = simd::load(from[half + i]);
        const float sine_i = direction * s[i];
        simd::store(to[i], a * c[i] - b * sine_i);
        simd::store(to[half + i], b * c[i] + a * sine_i);
      }
    }
  }
}

RETAIN_SIMD_CLONES void turn_float(const float* x, const float* cosine, const float* sine, float* y, std::int64_t begin,
                                   std::int64_t end, std::int64_t heads, std::int64_t half, float direction) {
  turn(x, cosine, sine, y, begin, end, heads, half, direction);
}
RETAIN_SIMD_CLONES void turn_bfloat16(const std::uint16_t* x, const float* cosine, const float* sine, std::uint16_t* y,
                                      std::int64_t begin, std::int64_t end, std::int64_t heads, std::int64_t half,
                                      float direction) {
  turn(x, cosine, sine, y, begin, end, heads, half, direction);
}

at::Tensor turned(const at::Tensor& input_TND, const RotaryTable& table, float direction) {
  const at::Tensor x_TND = input_TND.contiguous();
  at::Tensor y_TND = at::empty_like(x_TND);
  const std::int64_t heads = x_TND.size(1), half = x_TND.size(2) / 2;
  const float* cosine = table.cosine_TC.const_data_ptr<float>();
  const float* sine = table.sine_TC.const_data_ptr<float>();
  at::parallel_for(0, x_TND.size(0), 32, [&](std::int64_t begin, std::int64_t end) {
    if (x_TND.scalar_type() == at::kFloat)
      turn_float(x_TND.const_data_ptr<float>(), cosine, sine, y_TND.mutable_data_ptr<float>(), begin, end, heads, half,
                 direction);
    else
      turn_bfloat16(static_cast<const std::uint16_t*>(x_TND.const_data_ptr()), cosine, sine,
                    static_cast<std::uint16_t*>(y_TND.mutable_data_ptr()), begin, end, heads, half, direction);
  });
  return y_TND;
}

struct RotateFunction : torch::autograd::Function<RotateFunction> {
  static Variable forward(AutogradContext* context, const Variable& x_TND, const at::Tensor& cosine_TC,
                          const at::Tensor& sine_TC) {
    context->save_for_backward({cosine_TC, sine_TC});
    return turned(x_TND, {cosine_TC, sine_TC}, 1.0F);
  }
  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    return {turned(gradients[0], {saved[0], saved[1]}, -1.0F), {}, {}};
  }
};

at::Tensor rotate_with_aten(const at::Tensor& x_TND, const RotaryTable& table) {
  const std::vector<at::Tensor> halves = x_TND.to(at::kFloat).chunk(2, -1);
  const at::Tensor cosine_T1C = table.cosine_TC.unsqueeze(1), sine_T1C = table.sine_TC.unsqueeze(1);
  return at::cat({halves[0] * cosine_T1C - halves[1] * sine_T1C, halves[1] * cosine_T1C + halves[0] * sine_T1C}, -1)
      .to(x_TND.scalar_type());
}

/// The position that turns each frequency, [T,C] (or [T,1] where one serves all).
at::Tensor positions_by_frequency(const at::Tensor& positions_T, const std::vector<std::int64_t>& sections) {
  if (positions_T.dim() == 1) return positions_T.unsqueeze(1);
  std::vector<std::int64_t> rows_C;
  for (std::size_t i = 0; i < sections.size(); ++i)
    rows_C.insert(rows_C.end(), static_cast<std::size_t>(sections[i]), static_cast<std::int64_t>(i % 3));
  return positions_T.index_select(0, at::tensor(rows_C, positions_T.options())).t().contiguous();
}

/// Frequencies of fewer turns than low_freq_factor in the original context are divided by the factor, those of more
/// than high_freq_factor stay, and between the two the result passes linearly from one to the other.
at::Tensor scaled_as_llama3(const at::Tensor& frequencies_C, const RopeScaling& scaling) {
  const at::Tensor wavelengths_C = at::reciprocal(frequencies_C) * (2 * M_PI);
  const at::Tensor low_C = wavelengths_C > scaling.original_positions / scaling.low_freq_factor;
  const at::Tensor high_C = wavelengths_C < scaling.original_positions / scaling.high_freq_factor;
  const at::Tensor outer_C = at::where(low_C, frequencies_C / scaling.factor, frequencies_C);
  const at::Tensor weight_C = (at::reciprocal(wavelengths_C) * scaling.original_positions - scaling.low_freq_factor) /
                              (scaling.high_freq_factor - scaling.low_freq_factor);
  const at::Tensor between_C = (1 - weight_C) * outer_C / scaling.factor + weight_C * outer_C;
  return at::where(low_C.logical_or(high_C), outer_C, between_C);
}

at::Tensor frequencies(const RotarySettings& settings, const at::TensorOptions& as_float) {
  if (settings.head_size % 2 != 0)
    throw framework::Error(
        framework::ErrorKind::config_unsupported,
        {"rotary positions need an even head size", "an even number", std::to_string(settings.head_size), ""});
  const at::Tensor exponents_C =
      at::arange(0, settings.head_size, 2, as_float) / static_cast<double>(settings.head_size);
  const at::Tensor plain_C = at::reciprocal(at::pow(settings.theta, exponents_C));
  if (!settings.scaling) return plain_C;
  return settings.scaling->kind == RopeScaling::Kind::llama3 ? scaled_as_llama3(plain_C, *settings.scaling)
                                                             : plain_C / settings.scaling->factor;
}

}  // namespace

RotaryTable rotary_table(const at::Tensor& positions_T, const RotarySettings& settings) {
  const at::Tensor frequencies_C = frequencies(settings, positions_T.options().dtype(at::kFloat));
  const at::Tensor angles_TC = positions_by_frequency(positions_T, settings.sections).to(at::kFloat) * frequencies_C;
  return {angles_TC.cos(), angles_TC.sin()};
}

at::Tensor rotate(const at::Tensor& x_TND, const RotaryTable& table) {
  const bool known = x_TND.scalar_type() == at::kFloat || x_TND.scalar_type() == at::kBFloat16;
  if (x_TND.is_cpu() && known) return RotateFunction::apply(x_TND, table.cosine_TC, table.sine_TC);
  return rotate_with_aten(x_TND, table);
}

}  // namespace retain::models
