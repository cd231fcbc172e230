// SPDX-License-Identifier: Apache-2.0
// Every fused layer against the same formula composed from float64 ATen operations, forward and backward.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/csrc/autograd/autograd.h>

#include <functional>

#include "models/layers/activation.h"
#include "models/layers/attention.h"
#include "models/layers/kv_cache.h"
#include "models/layers/recompute.h"
#include "models/layers/rms_norm.h"
#include "models/layers/rotary.h"

namespace retain::models {
namespace {

using Tensors = std::vector<at::Tensor>;
using Layer = std::function<at::Tensor(const Tensors&)>;

struct Outcome {
  at::Tensor result;
  Tensors gradients;
};

/// Result and gradients with inputs of `type`; the seed of the gradient is fixed.
Outcome run(const Layer& layer, const Tensors& values, at::ScalarType type) {
  Tensors inputs;
  for (const at::Tensor& value : values) inputs.push_back(value.to(type).detach().clone().requires_grad_(true));
  const at::Tensor result = layer(inputs);
  const at::Tensor seed = at::linspace(-1, 1, result.numel(), at::kDouble).cos().view(result.sizes()).to(type);
  const auto gradients = torch::autograd::grad({result}, {inputs.begin(), inputs.end()}, {seed});
  return {result.detach().to(at::kDouble), {gradients.begin(), gradients.end()}};
}

void expect_close(const at::Tensor& found, const at::Tensor& expected, double tolerance) {
  ASSERT_EQ(found.sizes(), expected.sizes());
  const double scale = std::max(1.0, expected.abs().max().item<double>());
  EXPECT_LT((found.to(at::kDouble) - expected.to(at::kDouble)).abs().max().item<double>(), tolerance * scale);
}

/// Fused against composed, in both compute types. The reference sees the rounded inputs.
void expect_equal(const Layer& fused, const Layer& composed, const Tensors& values) {
  for (const auto& [type, tolerance] : {std::pair{at::kFloat, 3e-6}, std::pair{at::kBFloat16, 1.2e-2}}) {
    SCOPED_TRACE(c10::toString(type));
    Tensors rounded;
    for (const at::Tensor& value : values) rounded.push_back(value.to(type));
    const Outcome found = run(fused, rounded, type);
    const Outcome expected = run(composed, rounded, at::kDouble);
    expect_close(found.result, expected.result, tolerance);
    for (std::size_t i = 0; i < values.size(); ++i) expect_close(found.gradients[i], expected.gradients[i], tolerance);
  }
}

at::Tensor random(at::IntArrayRef shape, std::uint64_t seed) {
  return at::randn(shape, at::make_generator<at::CPUGeneratorImpl>(seed), at::TensorOptions().dtype(at::kDouble));
}

TEST(Layers, RmsNorm) {
  const auto composed = [](const Tensors& in) {
    return in[0] * at::rsqrt(in[0].square().mean(-1, true) + 1e-6) * in[1];
  };
  const auto fused = [](const Tensors& in) { return rms_norm(in[0], in[1], 1e-6); };
  for (const auto& [rows, width] : {std::pair{1, 1}, std::pair{5, 33}, std::pair{130, 96}})
    expect_equal(fused, composed, {random({rows, width}, 1), random({width}, 2)});
}

TEST(Layers, RmsNormOfNoRows) {
  const at::Tensor x = at::empty({0, 8}).requires_grad_(true), weight = at::ones({8}).requires_grad_(true);
  torch::autograd::backward({rms_norm(x, weight, 1e-6).sum()}, {});
  EXPECT_EQ(weight.grad().abs().sum().item<float>(), 0.0F);
}

TEST(Layers, RmsNormOfAFrozenWeightGivesItNoGradient) {
  const at::Tensor x = at::randn({4, 8}).requires_grad_(true), weight = at::ones({8});
  torch::autograd::backward({rms_norm(x, weight, 1e-6).sum()}, {});
  EXPECT_FALSE(weight.grad().defined());
  EXPECT_TRUE(x.grad().defined());
}

TEST(Layers, Swiglu) {
  const auto composed = [](const Tensors& in) { return in[0] * at::sigmoid(in[0]) * in[1]; };
  const auto fused = [](const Tensors& in) { return swiglu(in[0], in[1]); };
  expect_equal(fused, composed, {3 * random({7, 45}, 3), random({7, 45}, 4)});
}

TEST(Layers, SwigluOfExtremeValuesIsFinite) {
  const at::Tensor gate = at::tensor({-1e30F, -200.0F, -88.0F, 0.0F, 88.0F, 200.0F, 1e30F});
  const at::Tensor y = swiglu(gate, at::ones_like(gate));
  EXPECT_LT((y - at::silu(gate)).abs().max().item<float>(), 1e25F);
  EXPECT_TRUE(at::isfinite(y).all().item<bool>());
  EXPECT_TRUE(at::isnan(swiglu(at::full({1}, std::nanf("")), at::ones({1}))).item<bool>());
}

TEST(Layers, RotaryTurnsHalvesByPosition) {
  const at::Tensor positions = at::tensor({0, 1, 5, 0, 4000}, at::kLong);
  const RotaryTable table = rotary_table(positions, {6, 10000.0, {}});
  const auto composed = [&](const Tensors& in) {
    const Tensors halves = in[0].chunk(2, -1);
    const at::Tensor cosine = table.cosine_TC.to(at::kDouble).unsqueeze(1),
                     sine = table.sine_TC.to(at::kDouble).unsqueeze(1);
    return at::cat({halves[0] * cosine - halves[1] * sine, halves[1] * cosine + halves[0] * sine}, -1);
  };
  expect_equal([&](const Tensors& in) { return rotate(in[0], table); }, composed, {random({5, 3, 6}, 5)});
  EXPECT_NEAR(table.cosine_TC[2][1].item<double>(), std::cos(5 * std::pow(10000.0, -2.0 / 6)), 1e-6);
}

TEST(Layers, MultimodalRotaryTakesEachFrequencyFromItsAxis) {
  const at::Tensor rows = at::tensor({0, 1, 5, 7, 2, 9, 3, 3, 3}, at::kLong).reshape({3, 3});  // frames, rows, columns
  const RotarySettings settings{12, 10000.0, {1, 2, 3}};
  const RotaryTable table = rotary_table(rows, settings);
  const std::vector<std::int64_t> axes = {0, 1, 1, 2, 2, 2};
  for (std::int64_t c = 0; c < 6; ++c) {
    const RotaryTable plain = rotary_table(rows[axes[static_cast<std::size_t>(c)]], {12, 10000.0, {}});
    EXPECT_TRUE(at::equal(table.cosine_TC.select(1, c), plain.cosine_TC.select(1, c)));
    EXPECT_TRUE(at::equal(table.sine_TC.select(1, c), plain.sine_TC.select(1, c)));
  }
  const at::Tensor x_TND = random({3, 2, 12}, 5).to(at::kFloat);
  const at::Tensor turned_TND = rotate(x_TND, table);
  for (std::int64_t c = 0; c < 6; ++c) {
    const RotaryTable plain = rotary_table(rows[axes[static_cast<std::size_t>(c)]], {12, 10000.0, {}});
    for (const std::int64_t feature : {c, c + 6})
      EXPECT_TRUE(at::equal(turned_TND.select(2, feature), rotate(x_TND, plain).select(2, feature)));
  }
  const at::Tensor text = at::tensor({4, 5, 6}, at::kLong);
  EXPECT_TRUE(at::equal(rotary_table(text.expand({3, 3}), settings).cosine_TC, rotary_table(text, settings).cosine_TC));
}

/// softmax(q·kᵀ/√D)·v with an explicit mask and repeated key-value heads.
at::Tensor plain_attention(const at::Tensor& q_TND, const at::Tensor& k_TKD, const at::Tensor& v_TKD,
                           const std::vector<std::int64_t>& head_of_query, const std::vector<std::int64_t>& starts,
                           bool causal) {
  const at::Tensor heads = at::tensor(head_of_query, at::kLong);
  const at::Tensor k_TND = k_TKD.index_select(1, heads), v_TND = v_TKD.index_select(1, heads);
  at::Tensor scores = at::einsum("qnd,knd->nqk", {q_TND, k_TND}) / std::sqrt(static_cast<double>(q_TND.size(2)));
  at::Tensor allowed = at::zeros({q_TND.size(0), q_TND.size(0)}, at::kBool);
  for (std::size_t i = 0; i + 1 < starts.size(); ++i) {
    at::Tensor block = at::ones({starts[i + 1] - starts[i], starts[i + 1] - starts[i]}, at::kBool);
    allowed.slice(0, starts[i], starts[i + 1]).slice(1, starts[i], starts[i + 1]).copy_(causal ? block.tril() : block);
  }
  scores = scores.masked_fill(allowed.logical_not(), -std::numeric_limits<double>::infinity());
  return at::einsum("nqk,knd->qnd", {scores.softmax(-1), v_TND});
}

TEST(Layers, PackedAttentionWithGroupedHeads) {
  for (const auto& [heads, keys, parts] :
       {std::tuple{6, 2, 1}, std::tuple{5, 5, 2}, std::tuple{14, 2, 4}, std::tuple{9, 3, 4}})
    for (int part = 0; part < parts; ++part) {
      const LocalHeads local = local_heads(heads, keys, parts, part);
      std::vector<std::int64_t> head_of_query;
      for (std::int64_t head = local.query.begin; head < local.query.end; ++head)
        head_of_query.push_back(head / (heads / keys) - local.key_value.begin);
      for (const bool causal : {true, false})
        for (const std::vector<std::int64_t>& starts :
             {std::vector<std::int64_t>{0, 37}, {0, 1, 1, 18, 37}, {0, 12, 24, 36, 37}}) {
          const auto fused = [&](const Tensors& in) {
            return packed_attention(in[0], in[1], in[2], local.runs, starts, causal);
          };
          const auto composed = [&](const Tensors& in) {
            return plain_attention(in[0], in[1], in[2], head_of_query, starts, causal);
          };
          expect_equal(fused, composed,
                       {random({37, local.query.size(), 10}, 6), random({37, local.key_value.size(), 10}, 7),
                        random({37, local.key_value.size(), 10}, 8)});
        }
    }
}

TEST(Layers, HeadsOfARankCoverTheirGroups) {
  const LocalHeads second = local_heads(14, 2, 4, 1);  // query heads 4…7 of groups of seven
  EXPECT_EQ(second.query, (parallel::Range{4, 8}));
  EXPECT_EQ(second.key_value, (parallel::Range{0, 2}));
  ASSERT_EQ(second.runs.size(), 2U);
  EXPECT_EQ(second.runs[0].group, 3);
  EXPECT_EQ(second.runs[1].group, 1);
  EXPECT_TRUE(local_heads(2, 2, 4, 3).runs.empty());
}

TEST(Layers, CachedAttentionEqualsTheWhole) {
  constexpr std::int64_t kLengths[] = {7, 75, 4};  // what each sequence has in the end; the second outgrows its first room
  for (const int parts : {1, 2, 4}) {
    const LocalHeads local = local_heads(6, 2, parts, parts - 1);
    std::vector<at::Tensor> q, k, v, whole;
    for (const std::int64_t length : kLengths) {
      q.push_back(random({length, local.query.size(), 8}, 3 * length).to(at::kFloat));
      k.push_back(random({length, local.key_value.size(), 8}, 3 * length + 1).to(at::kFloat));
      v.push_back(random({length, local.key_value.size(), 8}, 3 * length + 2).to(at::kFloat));
      whole.push_back(packed_attention(q.back(), k.back(), v.back(), local.runs, {0, length}, true));
    }
    std::vector<std::size_t> active = {0, 1, 2};
    std::vector<std::int64_t> had = {0, 0, 0}, adds = {3, 5, 2};
    KvCache cache(2, 3);
    while (!active.empty()) {
      std::vector<at::Tensor> last_q, new_k, new_v, expected;
      std::vector<std::int64_t> starts = {0};
      for (const std::size_t i : active) {
        const std::int64_t end = had[i] + adds[i];
        last_q.push_back(q[i].slice(0, end - 1, end));
        new_k.push_back(k[i].slice(0, had[i], end));
        new_v.push_back(v[i].slice(0, had[i], end));
        expected.push_back(whole[i].slice(0, end - 1, end));
        starts.push_back(starts.back() + adds[i]);
        had[i] = end;
        adds[i] = 1;
      }
      cache.enter(starts);
      EXPECT_EQ(cache.is_prefill(), had[1] == 5);
      for (const std::size_t layer : {0U, 1U}) {
        const auto [all_k, all_v] = cache.append(layer, at::cat(new_k), at::cat(new_v));
        expect_close(last_token_attention(at::cat(last_q), all_k, all_v, local.runs, cache.filled()), at::cat(expected), 2e-6);
      }
      std::vector<std::size_t> kept, going_on;
      for (std::size_t row = active.size(); row-- > 0;)
        if (had[active[row]] < kLengths[active[row]]) kept.insert(kept.begin(), row);
      if (kept.size() == active.size()) continue;
      for (const std::size_t row : kept) going_on.push_back(active[row]);
      cache.keep(kept);
      active = going_on;
    }
  }
}

TEST(Layers, RecomputedPartsHaveTheSameGradients) {
  const at::Tensor weight = at::randn({6}).requires_grad_(true);
  int runs = 0;
  const Computation part = [&](const at::Tensor& x) {
    ++runs;
    return at::tanh(x * weight);
  };
  for (const bool input_trained : {true, false}) {
    const at::Tensor x = at::randn({3, 6}).requires_grad_(input_trained);
    weight.mutable_grad() = at::Tensor();
    torch::autograd::backward({part(x).square().sum()}, {});
    const at::Tensor weight_gradient = weight.grad().clone();
    const at::Tensor input_gradient = input_trained ? x.grad().clone() : at::Tensor();
    weight.mutable_grad() = at::Tensor();
    x.mutable_grad() = at::Tensor();
    runs = 0;
    torch::autograd::backward({recompute(part, x, {weight}).square().sum()}, {});
    EXPECT_EQ(runs, 2);
    EXPECT_TRUE(at::equal(weight.grad(), weight_gradient));
    if (input_trained) {
      EXPECT_TRUE(at::equal(x.grad(), input_gradient));
    }
  }
}

}  // namespace
}  // namespace retain::models
