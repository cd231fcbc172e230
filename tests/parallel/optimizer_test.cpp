// SPDX-License-Identifier: Apache-2.0
// AdamW against its formula in float64, bfloat16 with masters, what decays, and sums of squares.
#include "parallel/optimizer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "framework/base/error.h"
#include "parallel/comm/self_communicator.h"
#include "parallel/gradient_norm.h"

namespace retain::parallel {
namespace {

using framework::DType;

/// One parameter set on a mesh of one rank.
struct Bench {
  Bench(std::vector<std::string> names, std::vector<std::int64_t> shape, DType dtype, AdamWSettings settings)
      : mesh(make_self_communicator("world", 0), {}),
        parameters(make(names, shape, dtype)),
        gradients(parameters, settings.master_weights ? DType::float32 : DType::bfloat16),
        reducer(gradients, mesh, false),
        optimizer(gradients, reducer, settings) {}

  static ParameterSet make(const std::vector<std::string>& names, const std::vector<std::int64_t>& shape, DType dtype) {
    std::vector<Parameter> list;
    for (const std::string& name : names) {
      ParameterSpec spec;
      spec.name = name;
      spec.shape = shape;
      spec.dtype = dtype;
      spec.pipeline_stages = {0};
      at::Tensor value = at::randn(shape).to(dtype == DType::bfloat16 ? at::kBFloat16 : at::kFloat);
      list.push_back({spec, value.requires_grad_(true)});
    }
    return ParameterSet(std::move(list));
  }
  void step(const std::vector<at::Tensor>& values, double rate, double scale = 1) {
    for (std::size_t i = 0; i < values.size(); ++i) gradients.set(i, values[i]);
    optimizer.step(reducer.reduce(), scale, std::vector<double>(values.size(), rate));
  }

  Mesh mesh;
  ParameterSet parameters;
  Gradients gradients;
  GradientReducer reducer;
  Optimizer optimizer;
};

/// AdamW in float64.
struct Reference {
  at::Tensor p, m, v;
  int t = 0;
  explicit Reference(const at::Tensor& start) : p(start.detach().to(at::kDouble).clone()), m(at::zeros_like(p)), v(at::zeros_like(p)) {}
  void step(const at::Tensor& gradient, double rate, double decay) {
    const at::Tensor g = gradient.to(at::kDouble);
    ++t;
    p = p * (1 - rate * decay);
    m = m * 0.9 + g * 0.1;
    v = v * 0.999 + g * g * 0.001;
    p = p - rate / (1 - std::pow(0.9, t)) * m / ((v / (1 - std::pow(0.999, t))).sqrt() + 1e-8);
  }
};

double difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.detach().to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

/// Largest difference in units of what float32 may lose: a step rounds each element twice (decay, update), each time by at most 2^-24
/// of what it is then; what the moments lose is smaller by the rate.
double roundings(const at::Tensor& a, const Reference& b, int steps, double moved) {
  const at::Tensor allowed = 2 * steps * std::ldexp(1.0, -24) * (b.p.abs() + moved);
  return ((a.detach().to(at::kDouble) - b.p).abs() / allowed).max().item<double>();
}

TEST(Optimizer, EqualsTheFormula) {
  at::manual_seed(1);
  AdamWSettings settings;
  settings.weight_decay = 0.1;
  Bench bench({"a.weight", "a.bias", "x.input_layernorm.weight"}, {7, 301}, DType::float32, settings);
  std::vector<Reference> references;
  for (const Parameter& parameter : bench.parameters.all()) references.emplace_back(parameter.value);
  for (int t = 0; t < 10; ++t) {
    std::vector<at::Tensor> gradients;
    for (std::size_t i = 0; i < 3; ++i) {
      gradients.push_back(at::randn({7, 301}));
      references[i].step(gradients[i] * 0.5, 1e-2, i == 0 ? 0.1 : 0.0);
    }
    bench.step(gradients, 1e-2, 0.5);
  }
  for (std::size_t i = 0; i < 3; ++i) EXPECT_LT(roundings(bench.parameters.all()[i].value, references[i], 10, 10 * 1e-2), 1) << i;
}

TEST(Optimizer, ManyThreadsGiveTheSameBits) {
  at::manual_seed(2);
  const at::Tensor start = at::randn({400'000}), gradient = at::randn({400'000});
  std::vector<at::Tensor> results;
  for (const int threads : {1, 2}) {
    at::set_num_threads(threads);
    at::Tensor p = start.clone(), m = at::zeros_like(p), v = at::zeros_like(p);
    AdamWUpdate update;
    update.step = 1e-3F;
    for (int t = 0; t < 3; ++t) adamw_update(p, {}, m, v, gradient, update);
    results.push_back(p);
    results.push_back(at::full({}, sum_of_squares(gradient), at::kDouble));
  }
  EXPECT_TRUE(at::equal(results[0], results[2]));
  EXPECT_TRUE(at::equal(results[1], results[3]));
  EXPECT_NEAR(results[1].item<double>(), gradient.to(at::kDouble).square().sum().item<double>(), 1e-6);
}

TEST(Optimizer, FirstStepAtRateZeroChangesOnlyTheMoments) {
  Bench bench({"a.weight"}, {33}, DType::float32, {});
  const at::Tensor before = bench.parameters.all()[0].value.detach().clone();
  bench.step({at::ones({33})}, 0);
  EXPECT_TRUE(at::equal(before, bench.parameters.all()[0].value.detach()));
  EXPECT_TRUE(at::allclose(bench.optimizer.state(0, Optimizer::State::first_moment), at::full({33}, 0.1)));
  EXPECT_EQ(bench.optimizer.updates(0), 1);
}

TEST(Optimizer, AParameterWithoutGradientIsLeftAlone) {
  AdamWSettings settings;
  settings.weight_decay = 0.5;
  Bench bench({"a.weight", "b.weight"}, {5}, DType::float32, settings);
  const at::Tensor before = bench.parameters.all()[0].value.detach().clone();
  bench.step({at::Tensor(), at::ones({5})}, 0.1);
  EXPECT_TRUE(at::equal(before, bench.parameters.all()[0].value.detach()));
  EXPECT_EQ(bench.optimizer.updates(0), 0);
  EXPECT_EQ(bench.optimizer.updates(1), 1);
}

TEST(Optimizer, MastersKeepWhatBfloat16Loses) {
  at::manual_seed(3);
  Bench bench({"a.weight"}, {2500}, DType::bfloat16, {});
  Reference reference(bench.parameters.all()[0].value);
  for (int t = 0; t < 20; ++t) {
    const at::Tensor gradient = at::randn({2500});
    reference.step(gradient, 1e-4, 0);
    bench.step({gradient}, 1e-4);
  }
  const at::Tensor master = bench.optimizer.state(0, Optimizer::State::master);
  EXPECT_LT(difference(master, reference.p), 1e-6);
  EXPECT_TRUE(at::equal(master.to(at::kBFloat16), bench.parameters.all()[0].value.detach()));
  EXPECT_EQ(bench.optimizer.bytes(), 2500 * 12);
}

TEST(Optimizer, PureBfloat16NeedsNoMasters) {
  AdamWSettings settings;
  settings.master_weights = false;
  settings.moments = DType::bfloat16;
  Bench bench({"a.weight"}, {1000}, DType::bfloat16, settings);
  Reference reference(bench.parameters.all()[0].value);
  for (int t = 0; t < 3; ++t) {
    const at::Tensor gradient = at::randn({1000}).to(at::kBFloat16);
    reference.step(gradient, 1e-2, 0);
    bench.step({gradient}, 1e-2);
  }
  EXPECT_LT(difference(bench.parameters.all()[0].value, reference.p), 0.03);  // three roundings to 8 bits below 4
  EXPECT_EQ(bench.optimizer.bytes(), 1000 * 4);
  EXPECT_EQ(optimizer_bytes_per_element(settings, DType::bfloat16), 4);
}

TEST(Optimizer, Bfloat16GradientsAccumulateInFloat32) {
  Bench bench({"a.weight"}, {3}, DType::bfloat16, {});
  at::Tensor& value = bench.parameters.all()[0].value;
  const at::Tensor small = at::full({3}, 1.0 / 256, at::kBFloat16);
  value.backward(at::ones({3}, at::kBFloat16));
  for (int i = 0; i < 16; ++i) value.backward(small);
  EXPECT_FALSE(value.grad().defined());
  EXPECT_TRUE(at::equal(bench.gradients.get(0), at::full({3}, 1.0 + 16.0 / 256)));
}

TEST(Optimizer, DecayIsForWeightsOfLinearsAndEmbeddings) {
  EXPECT_TRUE(decays("language.layers.0.mlp.up_proj.weight"));
  EXPECT_TRUE(decays("language.embed_tokens.weight"));
  EXPECT_TRUE(decays("image_newline"));
  for (const char* name : {"language.layers.0.self_attn.q_proj.bias", "language.norm.weight",
                           "language.layers.0.input_layernorm.weight", "vision.encoder.layers.0.layer_norm1.weight",
                           "vision.post_layernorm.weight"})
    EXPECT_FALSE(decays(name)) << name;
}

TEST(GradientNorm, ClipsAsTorchDoes) {
  EXPECT_DOUBLE_EQ(clip_coefficient(0.5, 1.0), 1.0);
  EXPECT_DOUBLE_EQ(clip_coefficient(4.0, 1.0), 1.0 / (4.0 + 1e-6));
  EXPECT_DOUBLE_EQ(clip_coefficient(4.0, 0.0), 1.0);
}

TEST(GradientNorm, NamesWhatIsNotFinite) {
  Bench bench({"a.weight", "b.weight", "c.weight"}, {5}, DType::float32, {});
  bench.gradients.set(0, at::ones({5}));
  bench.gradients.set(1, at::full({5}, std::nan("")));
  bench.gradients.set(2, at::full({5}, INFINITY));
  const ReducedGradients reduced = bench.reducer.reduce();
  EXPECT_EQ(non_finite_names(bench.gradients, reduced.pieces), (std::vector<std::string>{"b.weight", "c.weight"}));
  EXPECT_FALSE(std::isfinite(squared_norm_part(bench.gradients, reduced.pieces, false, bench.mesh)));
}

TEST(Buckets, EveryElementTravelsOnce) {
  const std::vector<std::int64_t> sizes = {5, 17, 0, 3, 8};
  const std::vector<at::ScalarType> types = {at::kFloat, at::kFloat, at::kFloat, at::kBFloat16, at::kBFloat16};
  std::vector<std::int64_t> seen(sizes.size());
  for (const Bucket& bucket : plan_buckets(sizes, types, 8)) {
    EXPECT_LE(bucket.width, 8);
    for (std::size_t k = 0; k < bucket.stretches.size(); ++k) {
      const ParameterPiece& stretch = bucket.stretches[k];
      EXPECT_EQ(stretch.begin, seen[stretch.parameter]);
      EXPECT_EQ(types[stretch.parameter], types[bucket.stretches.front().parameter]);
      seen[stretch.parameter] = stretch.end;
    }
  }
  EXPECT_EQ(seen, sizes);
}

TEST(Buckets, SharesCoverASlice) {
  for (const std::int64_t elements : {0, 1, 7, 8, 9})
    for (const int shares : {1, 2, 3, 8}) {
      std::int64_t end = 0;
      for (int r = 0; r < shares; ++r) {
        const Range share = data_share(elements, shares, r);
        EXPECT_EQ(share.begin, std::min(end, elements));
        end = share.end;
      }
      EXPECT_EQ(end, elements);
    }
}

}  // namespace
}  // namespace retain::parallel
