// SPDX-License-Identifier: Apache-2.0
// Every kind of probe on any mesh against the same figure written out plainly on one rank.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <set>

#include "framework/base/error.h"
#include "models/generator.h"
#include "models/lmm/inference.h"
#include "parallel/comm/mpi_communicator.h"
#include "recipes/probes/answer_samples.h"
#include "recipes/probes/layer_delta.h"
#include "recipes/probes/number_tokens.h"
#include "recipes/probes/output_distance.h"
#include "recipes/probes/token_bias.h"
#include "recipes/probes/token_sets.h"
#include "recipes/records/record_samples.h"
#include "recipes/study/model_kit.h"

namespace retain::recipes {
namespace {

namespace fs = std::filesystem;
namespace json = framework::json;
using parallel::Mesh;
using parallel::MeshShape;

const fs::path kFixtures = RETAIN_FIXTURES;
constexpr std::int64_t kCaptions = 5;
constexpr double kBound = 2e-5;

std::vector<MeshShape> shapes_for(int ranks) {
  if (ranks == 1) return {{1, 1, 1}};
  if (ranks == 2) return {{2, 1, 1}, {1, 2, 1}, {1, 1, 2}};
  return {{2, 1, 2}, {1, 2, 2}, {2, 2, 1}};
}

/// The base, and a model some of whose tensors differ from it, on one mesh; captions of the fixtures.
struct World {
  explicit World(const Mesh& mesh, bool faithful = false)
      : kit(kFixtures / "models/llava_onevision/hub", mesh, framework::DType::float32, faithful ? framework::LabelMode::faithful : framework::LabelMode::clean),
        records(framework::RecordSet::load(kFixtures / "run/records.jsonl")),
        samples(records, kit.builder()),
        model(kit.load(*kit.open_weights(), {}, false)),
        faithful(faithful) {
    const at::NoGradGuard no_gradient;
    for (parallel::Parameter& parameter : model->parameters().all())
      if (parameter.spec.name.find(".mlp.") != std::string::npos || parameter.spec.name.find("lm_head") != std::string::npos)
        parameter.value.mul_(1.25);
  }
  ProbeInput input() {
    ProbeInput given{*model, records, samples, kit.builder(), kCaptions, 2, faithful};
    given.base = [this] { return kit.load(*kit.open_weights(), {}, false); };
    return given;
  }

  ModelKit kit;
  framework::RecordSet records;
  RecordSamples samples;
  std::unique_ptr<models::Lmm> model;
  bool faithful;
};

double number(const json::object& result, const char* key) { return result.at(key).to_number<double>(); }

/// A mesh of this rank alone.
std::unique_ptr<Mesh> alone(parallel::Communicator& world) {
  return std::make_unique<Mesh>(std::shared_ptr<parallel::Communicator>(world.split(world.rank(), 0, "alone")), MeshShape{1, 1, 1});
}

/// One caption's hidden states and where its answer is predicted.
struct Caption {
  models::MicroBatch packed;
  at::Tensor hidden_TH;
};
Caption caption_of(World& w, models::Lmm& model, std::int64_t i) {
  const std::vector<models::Sample> samples{w.samples.sample(i, true)};
  Caption caption{models::pack(samples, models::LossAverage::sample, 1, 1), {}};
  caption.hidden_TH = models::forward_through_pipeline(model, caption.packed);
  return caption;
}

struct Expected {
  double mean_total = 0, mean_highest = 0, peak_logit = 0, kl = 0, agreement = 0;
  std::vector<double> tokens;
};

Expected plain_figures(World& w, const std::vector<std::int64_t>& ids) {
  const at::NoGradGuard no_gradient;
  const auto base = w.kit.load(*w.kit.open_weights(), {}, false);
  Expected e;
  e.tokens.assign(ids.size(), 0);
  for (std::int64_t i = 0; i < kCaptions; ++i) {
    const Caption tuned = caption_of(w, *w.model, i), before = caption_of(w, *base, i);
    const at::Tensor logits = w.model->logits(tuned.hidden_TH, tuned.packed.answer_rows_A).to(at::kDouble);
    const at::Tensor old = base->logits(before.hidden_TH, before.packed.answer_rows_A).to(at::kDouble);
    const at::Tensor log_p = logits.log_softmax(1), log_q = old.log_softmax(1);
    const at::Tensor p = log_p.exp().index_select(1, at::tensor(ids, at::kLong));
    e.mean_total += p.sum(1).mean().item<double>() / kCaptions;
    e.mean_highest += p.amax(1).mean().item<double>() / kCaptions;
    e.peak_logit += logits.index_select(1, at::tensor(ids, at::kLong)).max().item<double>() / kCaptions;
    e.kl += (log_q.exp() * (log_q - log_p)).sum(1).mean().item<double>() / kCaptions;
    e.agreement += (logits.argmax(1) == old.argmax(1)).to(at::kDouble).mean().item<double>() / kCaptions;
    for (std::size_t k = 0; k < ids.size(); ++k) e.tokens[k] += p.select(1, static_cast<std::int64_t>(k)).mean().item<double>() / kCaptions;
  }
  return e;
}

TEST(Probes, TokenBiasAndDistanceAreThePlainFiguresOnEveryMesh) {
  const auto world = parallel::open_world();
  const auto self = alone(*world);
  World reference(*self);
  const std::vector<std::int64_t> ids = number_tokens(reference.kit.builder().tokenizer());
  ASSERT_GT(ids.size(), 3U);
  const Expected e = plain_figures(reference, ids);
  EXPECT_GT(e.kl, 1e-3) << "the models differ";
  for (const MeshShape& shape : shapes_for(world->size())) {
    const Mesh mesh(world, shape);
    World w(mesh);
    const json::object bias = token_bias(w.input(), {ids});
    EXPECT_NEAR(number(bias, "value"), e.mean_total, kBound) << to_string(shape);
    EXPECT_NEAR(bias.at("maximum_probability").at("mean").at("mean").to_number<double>(), e.mean_highest, kBound);
    EXPECT_NEAR(bias.at("maximum_logit").at("maximum").at("mean").to_number<double>(), e.peak_logit, 1e-3);
    ASSERT_EQ(bias.at("tokens").as_array().size(), ids.size());
    for (std::size_t k = 0; k < ids.size(); ++k) {
      EXPECT_EQ(bias.at("tokens").at(k).at("id").to_number<std::int64_t>(), ids[k]);
      EXPECT_NEAR(bias.at("tokens").at(k).at("probability").to_number<double>(), e.tokens[k], kBound);
    }
    const json::object distance = output_distance(w.input());
    EXPECT_NEAR(number(distance, "kl_divergence"), e.kl, 1e-4) << to_string(shape);
    EXPECT_NEAR(number(distance, "top1_agreement"), e.agreement, 1e-6);
  }
}

TEST(Probes, ABaseIsAtNoDistanceFromItself) {
  const auto world = parallel::open_world();
  const Mesh mesh(world, shapes_for(world->size()).front());
  World w(mesh);
  w.model = w.kit.load(*w.kit.open_weights(), {}, false);
  EXPECT_NEAR(number(output_distance(w.input()), "value"), 0, 1e-6);
  EXPECT_NEAR(number(output_distance(w.input()), "top1_agreement"), 1, 1e-6);
  EXPECT_EQ(number(layer_delta(w.input()), "value"), 0);
}

TEST(Probes, GeneratedTokenBiasFollowsTheModelsOwnAnswer) {
  const auto world = parallel::open_world();
  const auto self = alone(*world);
  World reference(*self);
  const std::vector<std::int64_t> ids = number_tokens(reference.kit.builder().tokenizer());
  double expected = 0;
  for (std::int64_t i = 0; i < kCaptions; ++i) {
    double total = 0;
    std::int64_t steps = 0;
    models::GenerateOptions options;
    options.max_new_tokens = 4;
    options.observer = [&](const at::Tensor& logits_BV, const std::vector<std::size_t>&, std::int64_t) {
      total += logits_BV.to(at::kDouble).softmax(1).index_select(1, at::tensor(ids, at::kLong)).sum().item<double>();
      ++steps;
    };
    models::generate(*reference.model, {first_question(reference.input(), i)}, options);
    expected += total / static_cast<double>(steps) / kCaptions;
  }
  for (const MeshShape& shape : shapes_for(world->size())) {
    const Mesh mesh(world, shape);
    World w(mesh);
    EXPECT_NEAR(number(token_bias(w.input(), {ids, true, 4}), "value"), expected, kBound) << to_string(shape);
  }
}

/// ‖W h − W₀ h₀‖₂ written out with logits, mean over `rows_of` a caption, then over captions, by layer and block.
std::map<std::pair<std::int64_t, models::Block>, double> plain_deltas(World& w, const std::function<at::Tensor(std::int64_t, const models::MicroBatch&)>& rows_of) {
  const at::NoGradGuard no_gradient;
  const auto base = w.kit.load(*w.kit.open_weights(), {}, false);
  std::map<std::pair<std::int64_t, models::Block>, double> deltas;
  const auto logits_of = [&](models::Lmm& model, std::int64_t i) {
    std::map<std::pair<std::int64_t, models::Block>, at::Tensor> found;
    const std::vector<models::Sample> samples{w.samples.sample(i, true)};
    const models::MicroBatch packed = models::pack(samples, models::LossAverage::sample, 1, 1);
    const char* head = model.config().text.tied_head ? "language.embed_tokens.weight" : "language.lm_head.weight";
    model.observe_blocks([&](std::int64_t layer, models::Block block, const at::Tensor& out_TH) {
      found[{layer, block}] = out_TH.index_select(0, rows_of(i, packed)).to(at::kDouble).mm(model.parameters().at(head).to(at::kDouble).t());
    });
    models::forward_through_pipeline(model, packed);
    model.observe_blocks({});
    return found;
  };
  for (std::int64_t i = 0; i < kCaptions; ++i) {
    const auto tuned = logits_of(*w.model, i), before = logits_of(*base, i);
    for (const auto& [place, logits] : tuned) deltas[place] += (logits - before.at(place)).norm(2, 1).mean().item<double>() / kCaptions;
  }
  return deltas;
}

void expect_deltas(const parallel::Communicator& /*world*/, const json::object& found, const std::map<std::pair<std::int64_t, models::Block>, double>& expected,
                   const std::string& what) {
  for (const auto& [place, delta] : expected) {
    const char* curve = place.second == models::Block::attention ? "attention" : "mlp";
    EXPECT_NEAR(found.at(curve).at(static_cast<std::size_t>(place.first)).to_number<double>(), delta, 1e-4 * std::max(1.0, delta)) << what << " " << curve << place.first;
  }
  EXPECT_EQ(found.at("attention").as_array().size() + found.at("mlp").as_array().size(), expected.size());
}

TEST(Probes, LayerDeltaIsTheDistanceOfLogitsThatAreNeverMade) {
  const auto world = parallel::open_world();
  const auto self = alone(*world);
  World reference(*self);
  const auto expected = plain_deltas(reference, [&](std::int64_t i, const models::MicroBatch&) {
    const models::Sample sample = reference.samples.sample(i, false);
    std::vector<std::int64_t> rows;  // labels.ne(IGNORE_INDEX), every picture with all of its tokens
    for (std::size_t t = 0; t < sample.labels.size(); ++t)
      if (sample.labels[t] != -100) rows.push_back(static_cast<std::int64_t>(t));
    return at::tensor(rows, at::kLong);
  });
  ASSERT_GT(expected.at({0, models::Block::mlp}), 0);
  for (const MeshShape& shape : shapes_for(world->size())) {
    const Mesh mesh(world, shape);
    World w(mesh);
    expect_deltas(*world, layer_delta(w.input()), expected, to_string(shape));
  }
}

TEST(Probes, FaithfulLayerDeltaReadsRowsAsIfAPictureWereOneToken) {
  const auto world = parallel::open_world();
  const auto self = alone(*world);
  World reference(*self, /*faithful=*/true);
  const auto expected = plain_deltas(reference, [&](std::int64_t i, const models::MicroBatch&) {
    const models::Sample sample = reference.samples.sample(i, false);
    std::vector<std::int64_t> rows;
    std::int64_t visual = 0;  // tokens passed over so far; fixtures' records have one picture at most
    for (std::size_t t = 0; t < sample.ids.size(); ++t) {
      if (sample.labels[t] >= 0) rows.push_back(static_cast<std::int64_t>(t) - std::max<std::int64_t>(0, visual - 1));
      if (sample.ids[t] == reference.kit.config().image_token) ++visual;
    }
    return at::tensor(rows, at::kLong);
  });
  const Mesh mesh(world, shapes_for(world->size()).front());
  World w(mesh, true);
  expect_deltas(*world, layer_delta(w.input()), expected, "faithful");
}

TEST(Probes, SamplesAreTheSameAnswersOnEveryMesh) {
  const auto world = parallel::open_world();
  const auto self = alone(*world);
  World reference(*self);
  const json::object expected = answer_samples(reference.input(), 6);
  ASSERT_EQ(expected.at("answers").as_array().size(), static_cast<std::size_t>(kCaptions));
  EXPECT_EQ(expected.at("answers").at(0).at("id").as_string(), "r00");
  EXPECT_THAT(std::string(expected.at("answers").at(1).at("question").as_string()), testing::HasSubstr("which object"));
  EXPECT_FALSE(expected.contains("value"));
  for (const MeshShape& shape : shapes_for(world->size())) {
    const Mesh mesh(world, shape);
    World w(mesh);
    EXPECT_EQ(json::serialize(answer_samples(w.input(), 6)), json::serialize(expected)) << to_string(shape);
  }
}

TEST(Probes, TokenSetsComeFromWordsPatternsAndTasks) {
  const auto world = parallel::open_world();
  const Mesh mesh(world, shapes_for(world->size()).front());
  World w(mesh);
  const framework::Tokenizer& tokenizer = w.kit.builder().tokenizer();
  const std::vector<std::int64_t> digits = tokens_of_pattern(tokenizer, R"(\A[0-9]\z)", "p");
  EXPECT_EQ(digits.size(), 10U);
  EXPECT_EQ(tokens_of_words(tokenizer, {"7"}, "p").size(), tokens_of_pattern(tokenizer, R"(\A\s*7\s*\z)", "p").size());
  for (const auto& refused : {std::function<void()>([&] { tokens_of_words(tokenizer, {"supercalifragilistic"}, "p"); }),
                              std::function<void()>([&] { tokens_of_pattern(tokenizer, "zzzzqqqq", "p"); })})
    EXPECT_THROW(refused(), framework::Error);
  const std::vector<std::int64_t> taught = tokens_of_task(w.input(), 4, 4, "p");
  ASSERT_LE(taught.size(), 4U);
  ASSERT_FALSE(taught.empty());
  std::set<std::int64_t> said;
  for (std::int64_t i = 0; i < kCaptions; ++i)
    for (const std::int64_t label : w.samples.sample(i, false).labels) said.insert(label);
  for (const std::int64_t id : taught) {
    EXPECT_TRUE(said.contains(id));
    EXPECT_FALSE(tokenizer.is_special(id));
  }
  const auto self = alone(*world);
  World one(*self);
  EXPECT_EQ(tokens_of_task(one.input(), 4, 4, "p"), taught) << "the same on one rank";
}

}  // namespace
}  // namespace retain::recipes
