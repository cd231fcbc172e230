// SPDX-License-Identifier: Apache-2.0
// Weights from directories: namings, slices, shards, and everything that can be wrong with a checkpoint.
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "models/lmm/table.h"
#include "models/weights/directory_source.h"
#include "models/weights/initialise.h"
#include "models/weights/load.h"
#include "tests/support/scratch.h"

namespace retain::models {
namespace {

namespace json = framework::json;
using framework::DType;
using framework::Error;
using testing::HasSubstr;

const std::filesystem::path kModels = std::filesystem::path(RETAIN_FIXTURES) / "models/llava_onevision";
const std::filesystem::path kCorrupt = std::filesystem::path(RETAIN_FIXTURES) / "corrupt_checkpoints";

parallel::ParameterTable table_of(const LmmConfig& config, int tensor_ranks, int stages, DType dtype = DType::float32) {
  return build_table(config, tensor_ranks, partition_for(config, stages), dtype);
}

std::vector<std::string> names_of(const parallel::ParameterTable& table) {
  std::vector<std::string> names;
  for (const auto& row : table.rows()) names.push_back(row.name);
  return names;
}

TEST(NameMap, AgreesWithTransformersInEveryNaming) {
  const LmmConfig config = read_config(kModels / "hub");
  const std::vector<std::string> expected = names_of(table_of(config, 1, 1));
  const json::value document = framework::read_json(kModels / "key_names.json");
  std::size_t checked = 0;
  for (const auto& [memory, stored] : document.get_object()) {
    const std::string canonical = naming(config, "memory").canonical(memory).value();
    EXPECT_THAT(expected, testing::Contains(canonical));
    EXPECT_EQ(naming(config, "memory").stored(canonical), memory);
    for (const auto& [style, name] : stored.get_object()) {
      const Naming& map = naming(config, style);
      EXPECT_EQ(map.stored(canonical), std::string(name.get_string())) << style;
      EXPECT_EQ(map.canonical(name.get_string()), canonical) << style;
      EXPECT_EQ(resolve_name(config, expected, name.get_string()), canonical) << style;
      ++checked;
    }
  }
  EXPECT_EQ(checked, 4 * expected.size());
}

TEST(NameMap, DetectsEveryNaming) {
  const LmmConfig config = read_config(kModels / "hub");
  const std::vector<std::string> expected = names_of(table_of(config, 1, 1));
  for (const Naming& map : namings(config)) {
    std::vector<std::string> stored{"some.buffer"};
    for (const std::string& name : expected) stored.push_back(map.stored(name));
    EXPECT_EQ(detect_naming(config, stored, expected).name, map.name);
  }
}

TEST(Weights, OriginalShardsEqualTheHubFile) {
  const LmmConfig config = read_config(kModels / "hub");
  const DirectorySource hub(kModels / "hub", config);
  const DirectorySource original(kModels / "orig", read_config(kModels / "orig"));
  EXPECT_EQ(hub.naming().name, "hub");
  EXPECT_EQ(original.naming().name, "orig");
  const parallel::ParameterTable table = table_of(config, 1, 1);
  check_source(hub, table);
  check_source(original, table);
  for (const auto& row : table.rows())
    EXPECT_TRUE(at::equal(read_tensor(hub, row.name), read_tensor(original, row.name))) << row.name;
}

TEST(Weights, EveryMeshLoadsItsOwnSlicesOnly) {
  const LmmConfig config = read_config(kModels / "hub");
  const DirectorySource whole(kModels / "hub", config);
  for (const auto& [tensors, stages] : std::vector<std::pair<int, int>>{{1, 1}, {2, 2}, {3, 1}, {4, 3}}) {
    const parallel::ParameterTable table = table_of(config, tensors, stages);
    for (int stage = 0; stage < stages; ++stage)
      for (int rank = 0; rank < tensors; ++rank) {
        const DirectorySource source(kModels / "hub", config);
        const parallel::ParameterSet set = load_parameters(source, table, rank, stage, {.check_finite = true});
        std::int64_t bytes = 0;
        for (const parallel::Parameter& parameter : set.all()) {
          at::Tensor expected = read_tensor(whole, parameter.spec.name);
          const int cut = parameter.spec.cut_dimension;
          if (cut >= 0) {
            const parallel::Range range = parameter.spec.cuts[static_cast<std::size_t>(rank)];
            expected = expected.slice(cut, range.begin, range.end);
          }
          EXPECT_TRUE(parameter.spec.held_by(stage));
          EXPECT_TRUE(parameter.value.is_contiguous());
          EXPECT_FALSE(parameter.trainable());
          EXPECT_TRUE(at::equal(parameter.value, expected)) << parameter.spec.name;
          bytes += static_cast<std::int64_t>(parameter.value.nbytes());
        }
        EXPECT_EQ(source.bytes_read(), bytes);
      }
  }
}

TEST(Weights, ConvertsToTheTrainingDtype) {
  const LmmConfig config = read_config(kModels / "hub");
  const auto exact = load_parameters(kModels / "hub", config, table_of(config, 1, 1), 0, 0);
  const auto rounded = load_parameters(kModels / "hub", config, table_of(config, 1, 1, DType::bfloat16), 0, 0);
  const std::string name = "language.layers.0.mlp.up_proj.weight";
  EXPECT_EQ(rounded.at(name).scalar_type(), at::kBFloat16);
  EXPECT_TRUE(at::equal(rounded.at(name), exact.at(name).to(at::kBFloat16)));
}

/// A line of /proc/self/status, bytes.
std::int64_t status(const std::string& name) {
  std::ifstream lines("/proc/self/status");
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + ":")) return std::stoll(line.substr(name.size() + 1)) * 1024;
  return -1;
}

TEST(Weights, LoadingHoldsTheShareAndABoundedBuffer) {
  const tests::Scratch scratch;
  json::value document = framework::read_json(kModels / "hub" / "config.json");
  json::object& text = document.as_object().at("text_config").as_object();
  for (const auto& [key, value] : {std::pair{"hidden_size", 1024},
                                   {"intermediate_size", 12288},
                                   {"vocab_size", 24576},
                                   {"num_attention_heads", 8},
                                   {"num_key_value_heads", 2},
                                   {"num_hidden_layers", 3}})
    text[key] = value;
  std::ofstream(scratch / "config.json") << json::serialize(document);
  const LmmConfig config = read_config(scratch.path());
  write_initial_model(config, DType::bfloat16, read_small_files(scratch.path()), scratch / "model", {});

  if (const char* sanitizer = std::getenv("RETAIN_SANITIZE"); sanitizer && std::string(sanitizer) == "thread")
    GTEST_SKIP() << "ThreadSanitizer keeps four bytes beside every one";
  for (const DType dtype : {DType::bfloat16, DType::float32}) {
    const parallel::ParameterTable table = table_of(config, 2, 1, dtype);
    const DirectorySource source(scratch / "model", config);
    std::ofstream("/proc/self/clear_refs") << 5;  // the peak counts from here
    const std::int64_t before = status("VmRSS");
    const parallel::ParameterSet set = load_parameters(source, table, 0, 0, {.check_finite = true});
    const std::int64_t grown = status("VmHWM") - before;
    std::int64_t share = 0;
    for (const parallel::Parameter& parameter : set.all()) share += static_cast<std::int64_t>(parameter.value.nbytes());
    ASSERT_GT(share, std::int64_t{150} << 20);
    EXPECT_GT(grown, share / 2) << "the peak was not measured";
    // bfloat16 is read in place; float32 through four buffers of up to half a matrix (12.6 MB).
    EXPECT_LT(grown, share + (std::int64_t{dtype == DType::bfloat16 ? 16 : 80} << 20)) << framework::name_of(dtype);
  }
}

/// What a checkpoint of the corrupt set is refused with; empty when it is accepted.
std::string refusal(const std::filesystem::path& directory, std::string* message) {
  try {
    const LmmConfig config = read_config(directory);
    const DirectorySource source(directory, config);
    const parallel::ParameterTable table = table_of(config, 1, 1);
    check_source(source, table);
    check_finite(source, table);
  } catch (const Error& error) {
    *message = error.what();
    return std::string(name_of(error.kind()));
  }
  return "ok";
}

TEST(Weights, RefusesEveryCorruptCheckpointByItsKind) {
  const json::value manifest = framework::read_json(kCorrupt / "manifest.json");
  for (const json::value& item : manifest.at("items").get_array()) {
    const json::object& spoiled = item.get_object();
    const std::string path(spoiled.at("path").get_string());
    SCOPED_TRACE(path);
    std::string message;
    EXPECT_EQ(refusal(kCorrupt / path, &message), std::string(spoiled.at("kind").get_string())) << message;
    for (const char* key : {"tensor", "missing"}) {
      const json::value* name = spoiled.if_contains(key);
      EXPECT_THAT(message, HasSubstr(name ? std::string(name->get_string()) : ""));
    }
    const json::value* index = spoiled.if_contains("flat_index");
    EXPECT_THAT(message, HasSubstr(index ? "flat index " + json::serialize(*index) + " " : ""));
  }
}

TEST(Weights, FlatIndexOfASliceCountsInTheWholeTensor) {
  const std::filesystem::path directory =
      kCorrupt / "nan_weights";  // flat index 53 of down_proj [16,16]: row 3, column 5
  const LmmConfig config = read_config(directory);
  const parallel::ParameterTable table = table_of(config, 2, 1);
  EXPECT_NO_THROW(load_parameters(directory, config, table, 1, 0, {.check_finite = true}));
  try {
    load_parameters(directory, config, table, 0, 0, {.check_finite = true});
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("flat index 53 of shape [16,16]"));
  }
}

TEST(Weights, FirstNonFiniteOfEachDtype) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf, at::kDouble}) {
    at::Tensor values = at::randn({10'000}).to(type);
    EXPECT_EQ(first_non_finite(values), -1);
    values[9'999] = INFINITY;
    EXPECT_EQ(first_non_finite(values), 9'999);
    values[5'000] = NAN;
    EXPECT_EQ(first_non_finite(values), 5'000);
    values[17] = -INFINITY;
    EXPECT_EQ(first_non_finite(values), 17);
  }
}

}  // namespace
}  // namespace retain::models
