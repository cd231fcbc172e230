// SPDX-License-Identifier: Apache-2.0
// LoRA against PEFT (fixtures: tests/fixtures/training/lora_*): eight steps, the merge, PEFT's files, dropout.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "models/lmm/table.h"
#include "models/weights/directory_source.h"
#include "models/weights/load.h"
#include "models/weights/name_map.h"
#include "parallel/comm/mpi_communicator.h"
#include "recipes/methods/lora.h"
#include "recipes/methods/lora_layer.h"
#include "recipes/methods/peft_files.h"
#include "recipes/study/model_kit.h"
#include "recipes/training/schedule.h"
#include "recipes/training/train_step.h"
#include "tests/recipes/oracle_training.h"

namespace retain::recipes {
namespace {

namespace fs = std::filesystem;
namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;

const fs::path kTraining = testing::oracle_place("E_training", "training");
const fs::path kModel = testing::oracle_place("D_models/llava_onevision/hub", "models/llava_onevision/hub");
const std::string kAdapter = (kTraining / "lora_init_adapter").string();

std::shared_ptr<const Lora> lora_of(const std::string& keys, const std::vector<std::string>& patterns = {"mlp"}) {
  const framework::ConfigFile file = framework::ConfigFile::parse(keys, "test");
  const framework::ConfigTable root = file.root();
  auto method = std::make_shared<Lora>(MethodSetup{root, {{patterns, 0}}});
  root.reject_unknown();
  return method;
}

std::string fixture_keys(const json::object& expected, const std::string& more = "") {
  return "rank = " + json::serialize(expected.at("r")) + "\nalpha = " + json::serialize(expected.at("lora_alpha")) + "\n" + more;
}

std::unique_ptr<models::Lmm> model_with(const Lora& method, const parallel::Mesh& mesh, bool first = true) {
  const models::LmmConfig config = models::read_config(kModel);
  const auto partition = models::partition_for(config, mesh.shape().pipeline);
  const auto table = models::build_table(config, mesh.shape().tensor, partition, framework::DType::float32);
  const auto extended = extended_table(table, &method);
  const auto plain = models::load_parameters(kModel, config, table, mesh.position().tensor, mesh.position().pipeline);
  return std::make_unique<models::Lmm>(config, mesh, partition, extended,
                                       extended_parameters(config, plain, extended, mesh, {&method, 0, "test", first}, nullptr), models::LmmOptions{});
}

/// The fixture's name of an adapter, "PREFIX.MODULE.lora_A", for its canonical one.
std::string fixture_name(const models::LmmConfig& config, const std::string& canonical) {
  const std::string stored = models::naming(config, "memory").stored(canonical);
  return stored.substr(0, stored.size() - std::string(".weight").size());
}

void check(const parallel::Mesh& mesh) {
  const std::string what = to_string(mesh.shape());
  const json::object expected = framework::read_json(kTraining / "lora_mlp.json").as_object();
  const auto method = lora_of(fixture_keys(expected, "adapter = \"" + kAdapter + "\"\n"));
  const auto model = model_with(*method, mesh);
  const models::LmmConfig& config = model->config();
  const std::vector<Selected> selected = method->select(model->table());
  EXPECT_EQ(selected.size(), expected.at("trainable").as_array().size()) << what;
  TrainSettings settings;
  const auto run = method->begin({*model, selected, settings, nullptr, nullptr});
  TrainStep step(*model, settings, selected, run.get());
  const auto file = models::SafetensorsDirectory::of_file(kTraining / "batches.safetensors");
  std::vector<std::vector<models::Sample>> batches;
  for (int i = 0; i < testing::kBatches; ++i) batches.push_back(testing::oracle_samples(config, file, i));
  std::vector<models::MicroBatch> mine;
  for (int s = 0; s < testing::kSteps; ++s) {
    const json::object& wanted = expected.at("steps").as_array().at(static_cast<std::size_t>(s)).as_object();
    mine = testing::oracle_step(batches, s, false);
    if (mesh.shape().data == 2) mine = {mine[static_cast<std::size_t>(mesh.position().data)]};
    const StepResult result = step.run(mine, {wanted.at("lr").to_number<double>()});
    EXPECT_NEAR(result.loss, wanted.at("loss").to_number<double>(), 2e-5) << what << " step " << s;
    const double norm = wanted.at("grad_norm_before_clip").to_number<double>();
    EXPECT_NEAR(result.grad_norm, norm, 1e-5 * norm) << what << " step " << s;
  }
  const auto finals = models::SafetensorsDirectory::of_file(kTraining / "lora_mlp.safetensors");
  for (const Selected& one : selected) {
    if (!model->parameters().has(one.name)) continue;
    const parallel::Parameter& parameter = model->parameters().parameter(one.name);
    const at::Tensor wanted = parameter.spec.slice_of(finals.read("final." + fixture_name(config, one.name)), mesh.position().tensor);
    EXPECT_LT((parameter.value.detach() - wanted).abs().max().item<double>(), 5e-5) << what << " " << one.name;
  }
  const json::object measured = run->finish(mine);
  EXPECT_LT(measured.at("largest_logit_change").as_double(), 5e-5);
  EXPECT_GT(measured.at("largest_logit").as_double(), 0.1);
  for (const std::string& name : method->changed(model->table())) {
    if (!model->parameters().has(name)) continue;
    const std::string stored = models::naming(config, "memory").stored(name);
    testing::expect_samples(model->parameters().parameter(name), finals.read("merged_sample." + stored), mesh.position().tensor, 5e-5, what);
  }
}

TEST(Lora, EqualsPeftOnEveryMesh) {
  const auto world = parallel::open_world();
  std::vector<parallel::MeshShape> shapes = {{1, 1, 1}};
  if (world->size() == 4) shapes = {{1, 2, 2}, {2, 1, 2}, {2, 2, 1}, {1, 1, 4}};
  for (const parallel::MeshShape& shape : shapes) check(parallel::Mesh(world, shape));
}

TEST(Lora, PeftFilesComeBackAsTheyWere) {
  const auto world = parallel::open_world();
  if (world->size() > 1) GTEST_SKIP() << "one rank writes files";
  const json::object expected = framework::read_json(kTraining / "lora_mlp.json").as_object();
  const auto method = lora_of(fixture_keys(expected, "adapter = \"" + kAdapter + "\"\nmerge = false\n"));
  const parallel::Mesh mesh(world, {1, 1, 1});
  const auto model = model_with(*method, mesh);
  struct Memory final : framework::TensorSource {
    std::vector<framework::TensorInfo> list;
    const parallel::ParameterSet* set = nullptr;
    const std::vector<framework::TensorInfo>& tensors() const override { return list; }
    void read(const std::string& name, std::int64_t first, std::span<std::byte> out) const override {
      const auto* bytes = static_cast<const std::byte*>(set->at(name).const_data_ptr());
      std::copy_n(bytes + 4 * first, out.size(), out.begin());
    }
  } source;
  source.set = &model->parameters();
  for (const parallel::ParameterSpec& row : model->table().rows()) source.list.push_back({row.name, row.dtype, row.shape});
  const fs::path folder = fs::temp_directory_path() / ("retain-peft-" + std::to_string(::getpid()));
  write_peft(source, model->config(), {8, 16, 0, false}, kModel.string(), folder);
  EXPECT_THROW(write_peft(source, model->config(), {8, 16, 0, false}, "", folder), Error);
  const PeftSettings settings = read_peft_settings(folder);
  EXPECT_EQ(settings.rank, 8);
  EXPECT_EQ(settings.alpha, 16);
  const auto written = models::SafetensorsDirectory::of_file(folder / "adapter_model.safetensors");
  const auto original = models::SafetensorsDirectory::of_file(kTraining / "lora_init_adapter/adapter_model.safetensors");
  EXPECT_EQ(written.names(), original.names());
  for (const std::string& name : original.names()) EXPECT_TRUE(at::equal(written.read(name), original.read(name))) << name;
  fs::remove_all(folder);
}

TEST(Lora, AFoldersAdaptersBeginABranchAndNoLaterStage) {
  const auto world = parallel::open_world();
  if (world->size() > 1) GTEST_SKIP() << "the same on any mesh";
  const parallel::Mesh mesh(world, {1, 1, 1});
  const json::object expected = framework::read_json(kTraining / "lora_mlp.json").as_object();
  const auto imported = lora_of(fixture_keys(expected, "adapter = \"" + kAdapter + "\"\n")), own = lora_of(fixture_keys(expected));
  const auto first = model_with(*imported, mesh), later = model_with(*imported, mesh, false), plain = model_with(*own, mesh, false);
  const std::string a = "language.layers.0.mlp.up_proj.lora_A.weight";
  const parallel::Parameter& row = first->parameters().parameter(a);
  EXPECT_TRUE(at::equal(row.value, PeftTensors(kAdapter).read(first->config(), row.spec)));
  for (const parallel::Parameter& parameter : plain->parameters().all())
    EXPECT_TRUE(at::equal(parameter.value, later->parameters().at(parameter.spec.name))) << parameter.spec.name;
  EXPECT_TRUE(imported->describe_stage(true).contains("adapter_digest"));
  EXPECT_EQ(imported->describe_stage(false), own->describe_stage(false)) << "it learns what it would without the folder";
  const auto kept = lora_of(fixture_keys(expected, "adapter = \"" + kAdapter + "\"\nmerge = false\n"));
  EXPECT_EQ(kept->describe_stage(false), kept->describe()) << "as stages that are kept were remembered";
}

TEST(Lora, AFolderIsReadOnce) {
  const auto world = parallel::open_world();
  if (world->size() > 1) GTEST_SKIP() << "the same on any mesh";
  const parallel::Mesh mesh(world, {1, 1, 1});
  const fs::path folder = fs::temp_directory_path() / ("retain-peft-once-" + std::to_string(::getpid()));
  fs::copy(kAdapter, folder);
  const auto imported = lora_of("rank = 8\nalpha = 16\nadapter = \"" + folder.string() + "\"");
  fs::remove_all(folder);  // what was digested and held against the settings is what is loaded
  const auto model = model_with(*imported, mesh);
  EXPECT_NO_THROW(imported->check(model->config(), model->table()));
  const parallel::Parameter& row = model->parameters().parameter("language.layers.0.mlp.up_proj.lora_B.weight");
  EXPECT_TRUE(at::equal(row.value, PeftTensors(kAdapter).read(model->config(), row.spec)));
}

TEST(Lora, AnAdapterHasTheRecipesLayersAndNoOthers) {
  const models::LmmConfig config = models::read_config(kModel);
  const auto table = models::build_table(config, 1, models::partition_for(config, 1), framework::DType::float32);
  const auto refusal = [&](const std::vector<std::string>& patterns) {
    const auto method = lora_of("rank = 8\nalpha = 16\nadapter = \"" + kAdapter + "\"", patterns);
    try {
      method->check(config, extended_table(table, method.get()));
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(refusal({"mlp"}), "");
  EXPECT_THAT(refusal({"mlp_gate_up"}), ::testing::AllOf(::testing::HasSubstr("checkpoint_surplus_tensor"), ::testing::HasSubstr("down_proj.lora_A"), ::testing::HasSubstr("`train`")));
  EXPECT_THAT(refusal({"sa_proj"}), ::testing::HasSubstr("checkpoint_missing_tensor"));
  EXPECT_THAT(refusal({"mlp", "sa_proj"}), ::testing::HasSubstr("checkpoint_missing_tensor"));
}

TEST(Lora, ScaleIsThatOfTheSettings) {
  EXPECT_EQ(lora_of("rank = 256\nalpha = 32")->settings().scale(), 0.125);
  EXPECT_EQ(lora_of("rank = 16\nalpha = 32\nrslora = true")->settings().scale(), 8);
}

ErrorKind kind_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::internal;
}

TEST(Lora, WrongInputsAreRefused) {
  const models::LmmConfig config = models::read_config(kModel);
  const auto table = models::build_table(config, 1, models::partition_for(config, 1), framework::DType::float32);
  EXPECT_EQ(kind_of([] { lora_of("rank = 0"); }), ErrorKind::config_invalid);
  EXPECT_EQ(kind_of([] { lora_of("dropout = 1.0"); }), ErrorKind::config_invalid);
  EXPECT_EQ(kind_of([] { lora_of("rnk = 4"); }), ErrorKind::config_invalid);
  EXPECT_EQ(kind_of([] { lora_of("rank = 4\nalpha = 16\nadapter = \"" + kAdapter + "\""); }), ErrorKind::config_invalid);  // its rank is 8
  EXPECT_EQ(kind_of([] { lora_of("adapter = \"/nowhere\""); }), ErrorKind::io);
  EXPECT_EQ(kind_of([&] { lora_of("", {"language.norm.weight"})->own_parameters(table); }), ErrorKind::recipe_matches_nothing);
  EXPECT_EQ(kind_of([&] { lora_of("dropout = 0.1", {"vision"})->own_parameters(table); }), ErrorKind::config_unsupported);
  parallel::ParameterSpec row = *table.find("language.layers.0.self_attn.q_proj.weight");
  row.name = "language.layers.0.self_attn.q_proj.lora_A.weight";
  EXPECT_EQ(kind_of([&] { PeftTensors(kAdapter).read(config, row); }), ErrorKind::checkpoint_missing_tensor);
  row.name = "language.layers.0.mlp.up_proj.lora_A.weight";
  row.shape = {3, 3};
  EXPECT_EQ(kind_of([&] { PeftTensors(kAdapter).read(config, row); }), ErrorKind::checkpoint_shape_mismatch);
  const fs::path folder = fs::temp_directory_path() / ("retain-peft-bad-" + std::to_string(::getpid()));
  fs::create_directories(folder);
  for (const char* text : {"[]", "{\"peft_type\": \"IA3\"}", "{\"peft_type\": \"LORA\"}", "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 4, \"use_dora\": true}",
                           "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 4, \"bias\": \"all\"}"}) {
    std::ofstream(folder / "adapter_config.json") << text;
    EXPECT_NE(kind_of([&] { read_peft_settings(folder); }), ErrorKind::internal) << text;
  }
  const auto start = [&](const std::string& how) {
    std::ofstream(folder / "adapter_config.json") << "{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 4, \"init_lora_weights\": " << how << "}";
    return kind_of([&] { read_peft_settings(folder); });
  };
  for (const char* changed : {"\"pissa\"", "\"pissa_niter_4\"", "\"olora\"", "\"corda\"", "\"eva\"", "\"loftq\"", "\"lora_ga\"", "7"})
    EXPECT_EQ(start(changed), ErrorKind::config_unsupported) << changed;
  for (const char* plain : {"true", "false", "null", "\"gaussian\"", "\"orthogonal\""}) EXPECT_EQ(start(plain), ErrorKind::internal) << plain << " is read";
  fs::remove_all(folder);
}

TEST(Lora, FaithfulModeAlsoTrainsTheProjector) {
  const framework::ConfigFile file = framework::ConfigFile::parse("", "test");
  const framework::ConfigTable root = file.root();
  const Lora released({root, {{{"mlp"}, 0}}, true});
  const models::LmmConfig config = models::read_config(kModel);
  const auto table = extended_table(models::build_table(config, 1, models::partition_for(config, 1), framework::DType::float32), &released);
  std::int64_t projector = 0, adapters = 0;
  for (const Selected& one : released.select(table)) (one.name.starts_with("projector.") ? projector : adapters) += 1;
  EXPECT_EQ(projector, 4);
  EXPECT_EQ(adapters, 6 * config.text.layers);
}

TEST(Lora, DropoutDependsOnTheSampleAndNotOnPackingOrCut) {
  const parallel::PackedRows together{{0, 5, 12}, {40, 41}}, alone{{0, 7}, {41}};
  const auto mask = [](const parallel::PackedRows& rows, parallel::Range features) {
    return dropout_mask(rows, 3, "layer", 0.25, features, at::kFloat);
  };
  const at::Tensor whole = mask(together, {0, 1000});
  EXPECT_TRUE(at::equal(whole.narrow(0, 5, 7), mask(alone, {0, 1000})));
  EXPECT_TRUE(at::equal(whole.narrow(1, 333, 334), mask(together, {333, 667})));
  EXPECT_FALSE(at::equal(whole.narrow(0, 0, 5), whole.narrow(0, 5, 5)));
  EXPECT_NEAR(whole.mean().item<double>(), 1.0, 0.03);
  EXPECT_NEAR((whole == 0).to(at::kFloat).mean().item<double>(), 0.25, 0.02);
  EXPECT_FALSE(at::equal(whole, dropout_mask(together, 4, "layer", 0.25, {0, 1000}, at::kFloat)));
  EXPECT_FALSE(at::equal(whole, dropout_mask(together, 3, "other", 0.25, {0, 1000}, at::kFloat)));
}

}  // namespace
}  // namespace retain::recipes
