// SPDX-License-Identifier: Apache-2.0
// With s = sigmoid(g):  d gate = dy·u·s·(1 + g·(1 − s)),  d up = dy·g·s.
#include "models/layers/activation.h"

#include "framework/base/error.h"
#include "framework/base/simd.h"

namespace retain::models {
namespace {

namespace simd = framework::simd;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

template <typename Value>
[[gnu::always_inline]] inline void gate_and_multiply(const Value* gate, const Value* up, Value* y, std::int64_t begin,
                                                     std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float g = simd::load(gate[i]);
    simd::store(y[i], g * simd::sigmoid(g) * simd::load(up[i]));
  }
}

template <typename Value>
[[gnu::always_inline]] inline void differentiate(const Value* dy, const Value* gate, const Value* up, Value* dgate, Value* dup,
                                                 std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float g = simd::load(gate[i]), d = simd::load(dy[i]);
    const float s = simd::sigmoid(g);
    simd::store(dgate[i], d * simd::load(up[i]) * s * (1.0F + g * (1.0F - s)));
    simd::store(dup[i], d * g * s);
  }
}

RETAIN_SIMD_CLONES void forward_float(const float* gate, const float* up, float* y, std::int64_t begin, std::int64_t end) {
  gate_and_multiply(gate, up, y, begin, end);
}
RETAIN_SIMD_CLONES void forward_bfloat16(const std::uint16_t* gate, const std::uint16_t* up, std::uint16_t* y,
                                         std::int64_t begin, std::int64_t end) {
  gate_and_multiply(gate, up, y, begin, end);
}
RETAIN_SIMD_CLONES void backward_float(const float* dy, const float* gate, const float* up, float* dgate, float* dup,
                                       std::int64_t begin, std::int64_t end) {
  differentiate(dy, gate, up, dgate, dup, begin, end);
}
RETAIN_SIMD_CLONES void backward_bfloat16(const std::uint16_t* dy, const std::uint16_t* gate, const std::uint16_t* up,
                                          std::uint16_t* dgate, std::uint16_t* dup, std::int64_t begin, std::int64_t end) {
  differentiate(dy, gate, up, dgate, dup, begin, end);
}

template <typename Value>
const Value* read(const at::Tensor& tensor) {
  return static_cast<const Value*>(tensor.const_data_ptr());
}
template <typename Value>
Value* write(const at::Tensor& tensor) {
  return static_cast<Value*>(tensor.mutable_data_ptr());
}

constexpr std::int64_t values_per_task = 16384;

struct SwigluFunction : torch::autograd::Function<SwigluFunction> {
  static Variable forward(AutogradContext* context, const Variable& gate_in, const Variable& up_in) {
    const at::Tensor gate = gate_in.contiguous(), up = up_in.contiguous();
    at::Tensor y = at::empty_like(gate);
    at::parallel_for(0, gate.numel(), values_per_task, [&](std::int64_t begin, std::int64_t end) {
      if (gate.scalar_type() == at::kFloat)
        forward_float(read<float>(gate), read<float>(up), write<float>(y), begin, end);
      else
        forward_bfloat16(read<std::uint16_t>(gate), read<std::uint16_t>(up), write<std::uint16_t>(y), begin, end);
    });
    context->save_for_backward({gate, up});
    return y;
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    const at::Tensor &gate = saved[0], &up = saved[1];
    const at::Tensor dy = gradients[0].contiguous();
    at::Tensor dgate = at::empty_like(gate), dup = at::empty_like(up);
    at::parallel_for(0, gate.numel(), values_per_task, [&](std::int64_t begin, std::int64_t end) {
      if (gate.scalar_type() == at::kFloat)
        backward_float(read<float>(dy), read<float>(gate), read<float>(up), write<float>(dgate), write<float>(dup), begin, end);
      else
        backward_bfloat16(read<std::uint16_t>(dy), read<std::uint16_t>(gate), read<std::uint16_t>(up),
                          write<std::uint16_t>(dgate), write<std::uint16_t>(dup), begin, end);
    });
    return {dgate, dup};
  }
};

}  // namespace

at::Tensor swiglu(const at::Tensor& gate, const at::Tensor& up) {
  const bool known = gate.scalar_type() == at::kFloat || gate.scalar_type() == at::kBFloat16;
  if (gate.is_cpu() && known && up.scalar_type() == gate.scalar_type()) return SwigluFunction::apply(gate, up);
  return (at::silu(gate.to(at::kFloat)) * up.to(at::kFloat)).to(gate.scalar_type());
}

at::Tensor activate(Activation kind, const at::Tensor& x) {
  switch (kind) {
    case Activation::silu: return at::silu(x);
    case Activation::gelu_tanh: return at::gelu(x, "tanh");
    case Activation::gelu_erf: return at::gelu(x, "none");
    case Activation::quick_gelu: return x * at::sigmoid(1.702 * x);
  }
  throw framework::Error(framework::ErrorKind::internal, "an activation without a formula was asked for");
}

}  // namespace retain::models
