// SPDX-License-Identifier: Apache-2.0
// WiSE-FT on stored stages: the oracle's average to the bit, a weight for every group, what is memoised, what is refused.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/store/stage_reader.h"
#include "models/weights/directory_source.h"
#include "models/weights/load.h"
#include "models/weights/name_map.h"
#include "parallel/comm/mpi_communicator.h"
#include "parallel/sharded_store.h"
#include "recipes/methods/wise_ft.h"
#include "recipes/study/base_import.h"
#include "tests/recipes/oracle_training.h"
#include "tests/support/scratch.h"

namespace retain::recipes {
namespace {

using framework::Error;
using framework::ErrorKind;

const std::filesystem::path kTraining = testing::oracle_place("E_training", "training");
const std::filesystem::path kModel = testing::oracle_place("D_models/llava_onevision/hub", "models/llava_onevision/hub");

std::shared_ptr<const WiseFt> wise_of(const std::string& keys) {
  const framework::ConfigFile file = framework::ConfigFile::parse(keys, "test");
  const framework::ConfigTable root = file.root();
  auto method = std::make_shared<WiseFt>(MethodSetup{root, {{{"sa_proj"}, 0}}});
  root.reject_unknown();
  return method;
}

struct WiseFtTest : ::testing::Test {
  tests::Scratch scratch;
  models::LmmConfig config = models::read_config(kModel);
  parallel::Mesh mesh{std::shared_ptr<parallel::Communicator>(parallel::open_world()), {1, 1, 1}};
  parallel::ShardedStore store{scratch.path() / "store", mesh, parallel::ShardedStore::Access::write};
  std::string base = write_base(store.store(), store.lock(), kModel, models::DirectorySource(kModel, config));
  std::string taught =
      write_base(store.store(), store.lock(), kTraining / "wise_ft/tuned", models::DirectorySource(kTraining / "wise_ft/tuned", config));
};

TEST_F(WiseFtTest, TheAverageEqualsTheReferenceToTheBit) {
  const std::string id = wise_of("alpha = 0.5")->settle(store, mesh, {base, base, taught});
  const framework::StageReader average(store.store(), id);
  const auto samples = models::SafetensorsDirectory::of_file(kTraining / "wise_ft/average_samples.safetensors");
  std::vector<std::string> names;
  for (const framework::TensorInfo& tensor : average.tensors()) names.push_back(tensor.name);
  EXPECT_EQ(names.size(), samples.names().size());
  for (const std::string& stored : samples.names()) {
    const auto name = models::resolve_name(config, names, stored.substr(4));  // "avg."
    ASSERT_TRUE(name) << stored;
    const at::Tensor whole = models::read_tensor(average, *name).flatten(), expected = samples.read(stored);
    const std::int64_t elements = whole.numel();
    for (std::int64_t i = 0; i < expected.numel(); ++i)
      EXPECT_EQ(whole[elements > 32 ? i * elements / 32 : i].item<float>(), expected[i].item<float>()) << *name << " value " << i;
  }
  const framework::StageReader origin(store.store(), base);
  for (const framework::TensorInfo& tensor : average.tensors())
    if (tensor.name.find("self_attn") == std::string::npos || tensor.name.starts_with("vision."))
      EXPECT_EQ(*average.digest(tensor.name), *origin.digest(tensor.name)) << tensor.name;
  EXPECT_EQ(average.manifest().parents, (std::vector<std::string>{base, taught}));
}

TEST_F(WiseFtTest, GroupsHaveTheirOwnWeightAndAnchorsAreNamed) {
  const auto method = wise_of("alpha = 0.0\nanchor = \"base\"\n[[group]]\npatterns = [\"language.layers.0.*\"]\nalpha = 1.0\n");
  const framework::StageReader average(store.store(), method->settle(store, mesh, {base, taught, taught}));
  const framework::StageReader origin(store.store(), base), end(store.store(), taught);
  for (const framework::TensorInfo& tensor : average.tensors()) {
    const framework::StageReader& expected = tensor.name.starts_with("language.layers.0.") ? origin : end;
    EXPECT_EQ(*average.digest(tensor.name), *expected.digest(tensor.name)) << tensor.name;
  }
}

TEST_F(WiseFtTest, AnAverageIsMadeOnce) {
  const auto method = wise_of("alpha = 0.25");
  const std::string id = method->settle(store, mesh, {base, base, taught});
  EXPECT_EQ(method->settle(store, mesh, {base, base, taught}), id);
  EXPECT_NE(wise_of("alpha = 0.75")->settle(store, mesh, {base, base, taught}), id);
  EXPECT_TRUE(method->describe().empty()) << "what is taught does not depend on the average";
}

TEST_F(WiseFtTest, WrongSettingsAreRefused) {
  EXPECT_THROW(wise_of("alpha = 1.5"), Error);
  EXPECT_THROW(wise_of("alpha = -0.1"), Error);
  EXPECT_THROW(wise_of("[[group]]\npatterns = [\"mlp\"]\nalpha = 2.0"), Error);
  EXPECT_THROW(wise_of("alfa = 0.5"), Error);
  EXPECT_THROW(wise_of("anchor = \"nowhere\"")->settle(store, mesh, {base, base, taught}), Error);
  EXPECT_THROW(wise_of("[[group]]\npatterns = [\"no.such.tensor\"]\nalpha = 0.5")->settle(store, mesh, {base, base, taught}), Error);
}

}  // namespace
}  // namespace retain::recipes
