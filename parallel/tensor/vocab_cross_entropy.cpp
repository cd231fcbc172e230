// SPDX-License-Identifier: Apache-2.0
#include "parallel/tensor/vocab_cross_entropy.h"

#include "framework/base/simd.h"

namespace retain::parallel {
namespace {

namespace simd = framework::simd;
using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

template <typename Value>
[[gnu::always_inline]] inline float row_maximum(const Value* logits, std::int64_t width) {
  float maximum = -std::numeric_limits<float>::infinity();
#pragma omp simd reduction(max : maximum)
  for (std::int64_t i = 0; i < width; ++i) {
    const float value = simd::load(logits[i]);
    maximum = value > maximum ? value : maximum;
  }
  return maximum;
}

template <typename Value>
[[gnu::always_inline]] inline float row_exponentials(const Value* logits, std::int64_t width, float maximum) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < width; ++i) sum += simd::exp(simd::load(logits[i]) - maximum);
  return sum;
}

/// logits ← scale · exp(logits − log_sum).
template <typename Value>
[[gnu::always_inline]] inline void row_gradient(Value* logits, std::int64_t width, float log_sum, float scale) {
#pragma omp simd
  for (std::int64_t i = 0; i < width; ++i) simd::store(logits[i], scale * simd::exp(simd::load(logits[i]) - log_sum));
}

RETAIN_SIMD_CLONES float maximum_float(const float* x, std::int64_t width) { return row_maximum(x, width); }
RETAIN_SIMD_CLONES float maximum_bfloat16(const std::uint16_t* x, std::int64_t width) { return row_maximum(x, width); }
RETAIN_SIMD_CLONES float exponentials_float(const float* x, std::int64_t width, float maximum) {
  return row_exponentials(x, width, maximum);
}
RETAIN_SIMD_CLONES float exponentials_bfloat16(const std::uint16_t* x, std::int64_t width, float maximum) {
  return row_exponentials(x, width, maximum);
}
RETAIN_SIMD_CLONES void gradient_float(float* x, std::int64_t width, float log_sum, float scale) {
  row_gradient(x, width, log_sum, scale);
}
RETAIN_SIMD_CLONES void gradient_bfloat16(std::uint16_t* x, std::int64_t width, float log_sum, float scale) {
  row_gradient(x, width, log_sum, scale);
}

bool has_kernel(const at::Tensor& logits) {
  return logits.is_cpu() && (logits.scalar_type() == at::kFloat || logits.scalar_type() == at::kBFloat16);
}

/// Calls task(row) for every row, over the threads.
template <typename Task>
void for_rows(std::int64_t rows, const Task& task) {
  at::parallel_for(0, rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) task(row);
  });
}

at::Tensor row_maxima(const at::Tensor& logits_AV) {
  const std::int64_t width = logits_AV.size(1);
  const at::TensorOptions as_float = logits_AV.options().dtype(at::kFloat);
  if (width == 0) return at::full({logits_AV.size(0)}, -std::numeric_limits<float>::infinity(), as_float);
  if (!has_kernel(logits_AV)) return logits_AV.amax(1).to(at::kFloat);
  at::Tensor maxima_A = at::empty({logits_AV.size(0)}, as_float);
  float* maxima = maxima_A.mutable_data_ptr<float>();
  const void* data = logits_AV.const_data_ptr();
  const bool wide = logits_AV.scalar_type() == at::kFloat;
  for_rows(logits_AV.size(0), [&](std::int64_t row) {
    maxima[row] = wide ? maximum_float(static_cast<const float*>(data) + row * width, width)
                       : maximum_bfloat16(static_cast<const std::uint16_t*>(data) + row * width, width);
  });
  return maxima_A;
}

at::Tensor row_sums(const at::Tensor& logits_AV, const at::Tensor& maxima_A) {
  if (!has_kernel(logits_AV)) return (logits_AV.to(at::kFloat) - maxima_A.unsqueeze(1)).exp().sum(1);
  const std::int64_t width = logits_AV.size(1);
  at::Tensor sums_A = at::empty_like(maxima_A);
  float* sums = sums_A.mutable_data_ptr<float>();
  const float* maxima = maxima_A.const_data_ptr<float>();
  const void* data = logits_AV.const_data_ptr();
  const bool wide = logits_AV.scalar_type() == at::kFloat;
  for_rows(logits_AV.size(0), [&](std::int64_t row) {
    sums[row] = wide ? exponentials_float(static_cast<const float*>(data) + row * width, width, maxima[row])
                     : exponentials_bfloat16(static_cast<const std::uint16_t*>(data) + row * width, width, maxima[row]);
  });
  return sums_A;
}

/// logits_AV ← scales_A · softmax, in place.
void scaled_softmax(at::Tensor& logits_AV, const at::Tensor& log_sums_A, const at::Tensor& scales_A) {
  if (!has_kernel(logits_AV)) {
    const at::Tensor softmax_AV = (logits_AV.to(at::kFloat) - log_sums_A.unsqueeze(1)).exp();
    logits_AV.copy_(softmax_AV * scales_A.unsqueeze(1));
    return;
  }
  const std::int64_t width = logits_AV.size(1);
  const float* log_sums = log_sums_A.const_data_ptr<float>();
  const float* scales = scales_A.const_data_ptr<float>();
  void* data = logits_AV.mutable_data_ptr();
  const bool wide = logits_AV.scalar_type() == at::kFloat;
  for_rows(logits_AV.size(0), [&](std::int64_t row) {
    if (wide)
      gradient_float(static_cast<float*>(data) + row * width, width, log_sums[row], scales[row]);
    else
      gradient_bfloat16(static_cast<std::uint16_t*>(data) + row * width, width, log_sums[row], scales[row]);
  });
}

struct CrossEntropyFunction : torch::autograd::Function<CrossEntropyFunction> {
  static Variable forward(AutogradContext* context, const Variable& logits_AV, const at::Tensor& targets_A,
                          const at::Tensor& weights_A, Range columns, Communicator* group) {
    const at::Tensor values_AV = logits_AV.detach().contiguous();
    at::Tensor maxima_A = row_maxima(values_AV);
    group->all_reduce(maxima_A, ReduceOp::max);
    const at::Tensor places_K = ((targets_A >= columns.begin) & (targets_A < columns.end)).nonzero().squeeze(1);
    const at::Tensor local_K = targets_A.index_select(0, places_K) - columns.begin;
    at::Tensor pair_2A = at::zeros({2, maxima_A.size(0)}, maxima_A.options());  // sum of exponentials, target's logit
    pair_2A[0].copy_(row_sums(values_AV, maxima_A));
    pair_2A[1].index_copy_(0, places_K, values_AV.index({places_K, local_K}).to(at::kFloat));
    group->all_reduce(pair_2A);
    const at::Tensor log_sums_A = pair_2A[0].log() + maxima_A;
    context->save_for_backward({values_AV, log_sums_A, weights_A, places_K, local_K});
    return (weights_A * (log_sums_A - pair_2A[1])).sum();
  }

  static variable_list backward(AutogradContext* context, variable_list gradients) {
    const variable_list saved = context->get_saved_variables();
    at::Tensor values_AV = saved[0];
    const at::Tensor scales_A = (saved[2] * gradients[0]).contiguous();
    const at::Tensor &places_K = saved[3], &local_K = saved[4];
    // The target's column is written from float32, so that softmax − 1 is rounded once.
    const at::Tensor target_log_K =
        values_AV.index({places_K, local_K}).to(at::kFloat) - saved[1].index_select(0, places_K);
    const at::Tensor target_gradient_K = scales_A.index_select(0, places_K) * at::expm1(target_log_K);
    scaled_softmax(values_AV, saved[1], scales_A);
    values_AV.index_put_({places_K, local_K}, target_gradient_K.to(values_AV.scalar_type()));
    return {values_AV, {}, {}, {}, {}};
  }
};

}  // namespace

at::Tensor vocab_cross_entropy(const at::Tensor& logits_AV, const at::Tensor& targets_A, const at::Tensor& weights_A,
                               Range columns, Communicator& group) {
  return CrossEntropyFunction::apply(logits_AV, targets_A, weights_A, columns, &group);
}

}  // namespace retain::parallel
