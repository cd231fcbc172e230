// SPDX-License-Identifier: Apache-2.0
// One pass over memory each way on the CPU. With r = 1/sqrt(mean(x²)+eps), g = dy·w and m = mean_H(g·x):
//   dx = r·g − r³·m·x        dw = Σ_T dy·x·r
#include "models/layers/rms_norm.h"

#include "framework/base/simd.h"

namespace retain::models {
namespace {

namespace simd = framework::simd;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

/// Rows [begin, end) of the forward pass.
template <typename Value>
[[gnu::always_inline]] inline void normalise(const Value* x, const Value* weight, Value* y, float* scale, std::int64_t begin,
                                             std::int64_t end, std::int64_t width, float eps) {
  for (std::int64_t row = begin; row < end; ++row) {
    const Value* from = x + row * width;
    Value* to = y + row * width;
    float squares = 0;
#pragma omp simd reduction(+ : squares)
    for (std::int64_t i = 0; i < width; ++i) squares += simd::load(from[i]) * simd::load(from[i]);
    const float r = 1.0F / std::sqrt(squares / static_cast<float>(width) + eps);
    scale[row] = r;
#pragma omp simd
    for (std::int64_t i = 0; i < width; ++i) simd::store(to[i], simd::load(from[i]) * r * simd::load(weight[i]));
  }
}

/// Rows [begin, end) of the backward pass; adds to dweight unless it is null.
template <typename Value>
[[gnu::always_inline]] inline void differentiate(const Value* dy, const Value* x, const Value* weight, const float* scale,
                                                 Value* dx, float* dweight, std::int64_t begin, std::int64_t end,
                                                 std::int64_t width) {
  for (std::int64_t row = begin; row < end; ++row) {
    const Value* gradient = dy + row * width;
    const Value* from = x + row * width;
    Value* to = dx + row * width;
    const float r = scale[row];
    float product = 0;
#pragma omp simd reduction(+ : product)
    for (std::int64_t i = 0; i < width; ++i)
      product += simd::load(gradient[i]) * simd::load(weight[i]) * simd::load(from[i]);
    const float shared = r * r * r * product / static_cast<float>(width);
    if (dweight != nullptr) {
#pragma omp simd
      for (std::int64_t i = 0; i < width; ++i) dweight[i] += simd::load(gradient[i]) * simd::load(from[i]) * r;
    }
#pragma omp simd
    for (std::int64_t i = 0; i < width; ++i)
      simd::store(to[i], r * simd::load(gradient[i]) * simd::load(weight[i]) - shared * simd::load(from[i]));
  }
}

RETAIN_SIMD_CLONES void normalise_float(const float* x, const float* weight, float* y, float* scale, std::int64_t begin,
                                        std::int64_t end, std::int64_t width, float eps) {
  normalise(x, weight, y, scale, begin, end, width, eps);
}
RETAIN_SIMD_CLONES void normalise_bfloat16(const std::uint16_t* x, const std::uint16_t* weight, std::uint16_t* y, float* scale,
                                           std::int64_t begin, std::int64_t end, std::int64_t width, float eps) {
  normalise(x, weight, y, scale, begin, end, width, eps);
}
RETAIN_SIMD_CLONES void differentiate_float(const float* dy, const float* x, const float* weight, const float* scale, float* dx,
                                            float* dweight, std::int64_t begin, std::int64_t end, std::int64_t width) {
  differentiate(dy, x, weight, scale, dx, dweight, begin, end, width);
}
RETAIN_SIMD_CLONES void differentiate_bfloat16(const std::uint16_t* dy, const std::uint16_t* x, const std::uint16_t* weight,
                                               const float* scale, std::uint16_t* dx, float* dweight, std::int64_t begin,
                                               std::int64_t end, std::int64_t width) {
  differentiate(dy, x, weight, scale, dx, dweight, begin, end, width);
}

bool has_kernel(const at::Tensor& x, const at::Tensor& weight) {
  const bool known = x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16;
  return x.is_cpu() && known && weight.scalar_type() == x.scalar_type();
}

template <typename Value>
const Value* read(const at::Tensor& tensor) {
  return static_cast<const Value*>(tensor.const_data_ptr());
}
template <typename Value>
Value* write(const at::Tensor& tensor) {
  return static_cast<Value*>(tensor.mutable_data_ptr());
}

constexpr std::int64_t rows_per_task = 16;

struct RmsNormFunction : torch::autograd::Function<RmsNormFunction> {
  static Variable forward(AutogradContext* context, const Variable& input_TH, const Variable& weight_H, double eps) {
    const at::Tensor x_TH = input_TH.contiguous();
    const std::int64_t rows = x_TH.size(0), width = x_TH.size(1);
    at::Tensor y_TH = at::empty_like(x_TH);
    at::Tensor scale_T = at::empty({rows}, x_TH.options().dtype(at::kFloat));
    at::parallel_for(0, rows, rows_per_task, [&](std::int64_t begin, std::int64_t end) {
      float* scale = scale_T.mutable_data_ptr<float>();
      if (x_TH.scalar_type() == at::kFloat)
        normalise_float(read<float>(x_TH), read<float>(weight_H), write<float>(y_TH), scale, begin, end, width,
                        static_cast<float>(eps));
      else
        normalise_bfloat16(read<std::uint16_t>(x_TH), read<std::uint16_t>(weight_H), write<std::uint16_t>(y_TH), scale, begin,
                           end, width, static_cast<float>(eps));
    });
    context->save_for_backward({x_TH, weight_H, scale_T});
    context->saved_data["train_weight"] = weight_H.requires_grad();
    return y_TH;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &x_TH = saved[0], &weight_H = saved[1], &scale_T = saved[2];
    const at::Tensor dy_TH = gradients[0].contiguous();
    const bool train_weight = context->saved_data["train_weight"].toBool();
    const std::int64_t rows = x_TH.size(0), width = x_TH.size(1);
    // A fixed number of partial sums, so that the weight's gradient does not depend on the number of threads.
    const std::int64_t parts = std::min<std::int64_t>(16, std::max<std::int64_t>(1, rows / rows_per_task));
    at::Tensor dx_TH = at::empty_like(x_TH);
    at::Tensor partial_PH = at::zeros({train_weight ? parts : 0, width}, scale_T.options());
    at::parallel_for(0, parts, 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t part = first; part < last; ++part) {
        const std::int64_t begin = rows * part / parts, end = rows * (part + 1) / parts;
        float* dweight = train_weight ? partial_PH.mutable_data_ptr<float>() + part * width : nullptr;
        if (x_TH.scalar_type() == at::kFloat)
          differentiate_float(read<float>(dy_TH), read<float>(x_TH), read<float>(weight_H), scale_T.const_data_ptr<float>(),
                              write<float>(dx_TH), dweight, begin, end, width);
        else
          differentiate_bfloat16(read<std::uint16_t>(dy_TH), read<std::uint16_t>(x_TH), read<std::uint16_t>(weight_H),
                                 scale_T.const_data_ptr<float>(), write<std::uint16_t>(dx_TH), dweight, begin, end, width);
      }
    });
    at::Tensor dweight_H = train_weight ? partial_PH.sum(0).to(weight_H.scalar_type()) : at::Tensor();
    return {dx_TH, dweight_H, {}};
  }
};

}  // namespace

at::Tensor rms_norm(const at::Tensor& x_TH, const at::Tensor& weight_H, double eps) {
  if (has_kernel(x_TH, weight_H)) return RmsNormFunction::apply(x_TH, weight_H, eps);
  const at::Tensor wide_TH = x_TH.to(at::kFloat);
  const at::Tensor scale_T1 = at::rsqrt(wide_TH.square().mean(-1, true) + eps);
  return (wide_TH * scale_T1 * weight_H.to(at::kFloat)).to(x_TH.scalar_type());
}

}  // namespace retain::models
