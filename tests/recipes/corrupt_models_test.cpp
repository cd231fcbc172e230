// SPDX-License-Identifier: Apache-2.0
// Model directories of every family, each spoiled in one place: all ranks give the same kind of error, whichever rank
// meets the damage, and the directory stays as it was.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "models/lmm/table.h"
#include "models/weights/directory_source.h"
#include "models/weights/load.h"
#include "parallel/agreement.h"
#include "parallel/comm/mpi_communicator.h"
#include "recipes/study/model_kit.h"
#include "tests/support/scratch.h"

namespace retain::recipes {
namespace {

namespace fs = std::filesystem;
namespace json = framework::json;
using framework::ErrorKind;

/// Puts `value` (JSON; empty: nothing, the key goes) at `pointer` of a JSON file; or, with an empty pointer, writes
/// `value` as the whole file (empty: the file goes).
struct Edit {
  const char* model;
  const char* file;
  const char* pointer;
  const char* value;
  ErrorKind kind;
};

constexpr auto kInvalid = ErrorKind::config_invalid;
constexpr auto kUnsupported = ErrorKind::config_unsupported;
constexpr const char* kNext = "llava_next_rope3/hub";
constexpr const char* kQwen = "qwen2_5_vl/hub";
constexpr const char* kOne = "llava_1_5/hub";
constexpr const char* kVision = "llava_onevision/hub";

const Edit kEdits[] = {
    {kNext, "config.json", "/text_config/rope_scaling/rope_type", R"("yarn")", kUnsupported},
    {kNext, "config.json", "/text_config/rope_scaling/factor", "0", kInvalid},
    {kNext, "config.json", "/text_config/rope_scaling/low_freq_factor", "4.0", kInvalid},
    {kNext, "config.json", "/text_config/rope_scaling/original_max_position_embeddings", "0", kInvalid},
    {kNext, "config.json", "/text_config/num_key_value_heads", "4", kInvalid},
    {kNext, "config.json", "/text_config/num_attention_heads", "0", kInvalid},
    {kNext, "config.json", "/text_config/hidden_size", "56", ErrorKind::checkpoint_shape_mismatch},
    {kNext, "config.json", "/text_config/hidden_act", R"("gelu")", kUnsupported},
    {kNext, "config.json", "/text_config/model_type", R"("gemma")", kUnsupported},
    {kNext, "config.json", "/text_config/vocab_size", R"("many")", kInvalid},
    {kNext, "config.json", "/text_config/rms_norm_eps", "-1.0", kInvalid},
    {kNext, "config.json", "/text_config/num_hidden_layers", "3", ErrorKind::checkpoint_missing_tensor},
    {kNext, "config.json", "/text_config/num_hidden_layers", "1", ErrorKind::checkpoint_surplus_tensor},
    {kNext, "config.json", "/text_config/num_hidden_layers", "-1", kInvalid},
    {kNext, "config.json", "/vision_config/num_hidden_layers", "100000000000", kInvalid},
    {kNext, "config.json", "/vision_config/patch_size", "0", kInvalid},
    {kNext, "config.json", "/vision_config/patch_size", "29", kInvalid},
    {kNext, "config.json", "/vision_config/hidden_act", R"("mish")", kUnsupported},
    {kNext, "config.json", "/vision_config/num_attention_heads", "5", kInvalid},
    {kNext, "config.json", "/vision_feature_layer", "-9", kInvalid},
    {kNext, "config.json", "/vision_feature_select_strategy", R"("cls")", kUnsupported},
    {kNext, "config.json", "/image_grid_pinpoints", "[]", kInvalid},
    {kNext, "config.json", "/image_grid_pinpoints/0", "[28]", kInvalid},
    {kNext, "config.json", "/image_grid_pinpoints/0", "[0, 56]", kInvalid},
    {kNext, "config.json", "/image_token_index", "-5", kInvalid},
    {kNext, "config.json", "/projector_hidden_act", R"("tanh")", kUnsupported},
    {kNext, "config.json", "/architectures", "[]", kInvalid},
    {kNext, "config.json", "/architectures", "7", kInvalid},
    {kNext, "generation_config.json", "/eos_token_id", R"("end")", kInvalid},
    {kNext, "generation_config.json", "", "{\"eos_token_id\": [3,", kInvalid},
    {kNext, "preprocessor_config.json", "/image_mean", "[0.5, 0.5]", kInvalid},
    {kNext, "preprocessor_config.json", "/image_std", "[0.0, 0.5, 0.5]", kInvalid},
    {kQwen, "config.json", "/rope_scaling/mrope_section", "[2, 3, 4]", kInvalid},
    {kQwen, "config.json", "/rope_scaling/mrope_section", "[8]", kInvalid},
    {kQwen, "config.json", "/vision_config/fullatt_block_indexes", R"(["x"])", kInvalid},
    {kQwen, "config.json", "/vision_config/window_size", "0", kInvalid},
    {kQwen, "config.json", "/vision_config/spatial_merge_size", "0", kInvalid},
    {kQwen, "config.json", "/vision_config/out_hidden_size", "50", kInvalid},
    {kQwen, "config.json", "/vision_config/depth", "5", ErrorKind::checkpoint_missing_tensor},
    {kQwen, "config.json", "/vision_config/hidden_act", R"("relu")", kUnsupported},
    {kQwen, "model.safetensors.index.json", "", "{", ErrorKind::checkpoint_header_invalid},
    {kQwen, "model.safetensors.index.json", "/weight_map", "[]", ErrorKind::checkpoint_header_invalid},
    {kQwen, "model.safetensors.index.json", "/weight_map/lm_head.weight", R"("../model.safetensors")",
     ErrorKind::checkpoint_header_invalid},
    {kQwen, "model-00003-of-00006.safetensors", "", "", ErrorKind::checkpoint_missing_shard},
    {kQwen, "model-00003-of-00006.safetensors", "", "short", ErrorKind::checkpoint_truncated},
    {kQwen, "preprocessor_config.json", "/size/longest_edge", "10", kInvalid},
    {kQwen, "preprocessor_config.json", "/patch_size", "14", kInvalid},
    {kQwen, "preprocessor_config.json", "/merge_size", "0", kInvalid},
    {kOne, "preprocessor_config.json", "/crop_size/height", "0", kInvalid},
    {kOne, "preprocessor_config.json", "/resample", "77", kUnsupported},
    {kOne, "tokenizer.json", "/model/merges/0", "[1, 2]", ErrorKind::tokenizer_invalid},
    {kOne, "tokenizer.json", "/model/vocab/<0x0A>", "-1", ErrorKind::tokenizer_invalid},
    {kOne, "tokenizer.json", "/model/vocab/<0x0A>", "3", ErrorKind::tokenizer_invalid},
    {kOne, "tokenizer.json", "/decoder/type", R"("WordPiece")", ErrorKind::tokenizer_unsupported},
    {kOne, "tokenizer.json", "/normalizer/type", R"("Lowercase")", ErrorKind::tokenizer_unsupported},
    {kOne, "tokenizer.json", "/added_tokens/0/id", "99999999999", ErrorKind::tokenizer_invalid},
    {kOne, "tokenizer.json", "", "{\"model\"", ErrorKind::tokenizer_invalid},
    {kVision, "tokenizer.json", "/pre_tokenizer",
     R"({"type":"Split","pattern":{"Regex":"("},"behavior":"Isolated","invert":false})",
     ErrorKind::tokenizer_unsupported},
    {kVision, "config.json", "/vision_aspect_ratio", R"("anyres_max_x")", kUnsupported},
    {kVision, "config.json", "", "[]", kInvalid},
    {kVision, "config.json", "", "", ErrorKind::io},
};

void apply(const Edit& edit, const fs::path& directory) {
  const fs::path file = directory / edit.file;
  const std::string pointer = edit.pointer, value = edit.value;
  if (pointer.empty() && value.empty()) {
    ASSERT_TRUE(fs::remove(file));
    return;
  }
  if (pointer.empty()) {
    std::ofstream(file) << value;
    return;
  }
  json::value root = framework::read_json(file);
  const std::size_t slash = pointer.rfind('/');
  json::value& parent = root.at_pointer(pointer.substr(0, slash));
  const std::string key = pointer.substr(slash + 1);
  if (value.empty()) {
    ASSERT_EQ(parent.as_object().erase(key), 1U);
  } else if (parent.is_array()) {
    parent.as_array().at(std::stoul(key)) = json::parse(value);
  } else {
    parent.as_object()[key] = json::parse(value);
  }
  std::ofstream(file) << json::serialize(root);
}

/// What a safetensors file is made of.
struct WeightFile {
  explicit WeightFile(fs::path path) : path(std::move(path)) {
    const std::string bytes = framework::read_file(this->path);
    std::uint64_t length = 0;
    std::memcpy(&length, bytes.data(), sizeof length);
    header = bytes.substr(sizeof length, length);
    data = bytes.substr(sizeof length + length);
  }
  void write() const {
    const std::uint64_t length = header.size();
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(&length), sizeof length);
    out << header << data;
  }
  /// `value` (JSON) for a field of one tensor's entry.
  void set(const std::string& tensor, const std::string& field, const std::string& value) {
    json::value root = json::parse(header);
    root.at(tensor).as_object()[field] = json::parse(value);
    header = json::serialize(root);
  }
  void replace(const std::string& from, const std::string& to) {
    const std::size_t at = header.find(from);
    ASSERT_NE(at, std::string::npos) << from;
    header.replace(at, from.size(), to);
  }
  /// Element `index` of a float32 tensor.
  void poke(const std::string& tensor, std::size_t index, float value) {
    const auto begin = json::parse(header).at(tensor).at("data_offsets").as_array().at(0).to_number<std::size_t>();
    std::memcpy(data.data() + begin + index * sizeof value, &value, sizeof value);
  }
  fs::path path;
  std::string header;
  std::string data;
};

struct WeightDamage {
  const char* name;
  std::function<void(WeightFile& file)> spoil;
  ErrorKind kind;
};

constexpr const char* kLast = "language_model.lm_head.weight";
constexpr const char* kNorm = "language_model.model.norm.weight";

const WeightDamage kDamage[] = {
    {"an element type twice as wide", [](WeightFile& f) { f.set(kNorm, "dtype", R"("F64")"); },
     ErrorKind::checkpoint_header_invalid},
    {"an unknown element type", [](WeightFile& f) { f.set(kNorm, "dtype", R"("F7")"); },
     ErrorKind::checkpoint_header_invalid},
    {"integers for weights", [](WeightFile& f) { f.set(kNorm, "dtype", R"("I32")"); }, kUnsupported},
    {"a negative size", [](WeightFile& f) { f.set(kNorm, "shape", "[-48]"); }, ErrorKind::checkpoint_header_invalid},
    {"sizes whose product overflows", [](WeightFile& f) { f.set(kNorm, "shape", "[4294967296, 4294967296]"); },
     ErrorKind::checkpoint_header_invalid},
    {"offsets that go backwards", [](WeightFile& f) { f.set(kNorm, "data_offsets", "[192, 0]"); },
     ErrorKind::checkpoint_header_invalid},
    {"bytes nobody owns", [](WeightFile& f) { f.data += "12345678"; }, ErrorKind::checkpoint_header_invalid},
    {"a name that is not the model's", [](WeightFile& f) { f.replace(kNorm, "language_model.model.nurm.weight"); },
     ErrorKind::checkpoint_missing_tensor},
    {"the same name twice", [](WeightFile& f) { f.replace(kNorm, kLast); }, ErrorKind::checkpoint_header_invalid},
    {"a header that is a list", [](WeightFile& f) { f.header = "[]"; }, ErrorKind::checkpoint_header_invalid},
    {"one byte too few", [](WeightFile& f) { f.data.pop_back(); }, ErrorKind::checkpoint_truncated},
    {"a NaN on the last pipeline stage", [](WeightFile& f) { f.poke(kLast, 327 * 48 + 47, std::nanf("")); },
     ErrorKind::checkpoint_non_finite},
    {"an infinity on the first",
     [](WeightFile& f) { f.poke("language_model.model.embed_tokens.weight", 5, -INFINITY); },
     ErrorKind::checkpoint_non_finite},
};

class CorruptModel : public testing::Test {
 protected:
  CorruptModel()
      : world(parallel::open_world()),
        mesh(world, world->size() == 4 ? parallel::MeshShape{1, 2, 2} : parallel::MeshShape{1, 1, 1}) {}

  /// A model copied by rank 0, spoiled there, and opened by all: what every rank then says.
  ErrorKind refusal(const char* model, const std::function<void(const fs::path& directory)>& spoil) {
    std::optional<tests::Scratch> scratch;
    if (world->rank() == 0) scratch.emplace();
    const fs::path directory = world->broadcast_text(scratch ? (*scratch / "model").string() : "", 0);
    if (world->rank() == 0) {
      fs::copy(fs::path(RETAIN_FIXTURES) / "models" / model, directory, fs::copy_options::recursive);
      spoil(directory);
    }
    world->barrier();
    const std::uintmax_t files =
        std::distance(fs::recursive_directory_iterator(directory), fs::recursive_directory_iterator());
    ErrorKind kind = ErrorKind::internal;
    try {
      parallel::agree(*world, [&] { open(directory); });
      ADD_FAILURE() << "accepted";
    } catch (const framework::Error& error) {
      kind = error.kind();
      message = error.what();
    }
    EXPECT_EQ(files, std::distance(fs::recursive_directory_iterator(directory), fs::recursive_directory_iterator()));
    world->barrier();
    return kind;
  }

  /// The whole model; of a directory without a tokenizer, its configuration and weights.
  void open(const fs::path& directory) {
    if (fs::exists(directory / "tokenizer.json")) {
      const ModelKit kit(directory, mesh, framework::DType::float32, framework::LabelMode::clean);
      kit.load(*kit.open_weights(), {}, true);
      return;
    }
    const models::LmmConfig config = models::read_config(directory);
    const auto table = models::build_table(config, mesh.shape().tensor, models::partition_for(config, mesh.shape().pipeline),
                                           framework::DType::float32);
    models::LoadOptions options;
    options.check_finite = true;
    models::load_parameters(models::DirectorySource(directory, config), table, mesh.position().tensor, mesh.position().pipeline, options);
  }

  std::shared_ptr<parallel::Communicator> world;
  parallel::Mesh mesh;
  std::string message;
};

TEST_F(CorruptModel, SmallFiles) {
  for (const Edit& edit : kEdits) {
    const ErrorKind kind = refusal(edit.model, [&](const fs::path& directory) { apply(edit, directory); });
    EXPECT_EQ(name_of(kind), name_of(edit.kind))
        << edit.model << " " << edit.file << " " << edit.pointer << " = " << edit.value << "\n"
        << message;
  }
}

TEST_F(CorruptModel, Weights) {
  for (const WeightDamage& damage : kDamage) {
    const ErrorKind kind = refusal(kNext, [&](const fs::path& directory) {
      WeightFile file(directory / "model.safetensors");
      damage.spoil(file);
      file.write();
    });
    EXPECT_EQ(name_of(kind), name_of(damage.kind)) << damage.name << "\n" << message;
  }
}

TEST_F(CorruptModel, KeptDirectories) {
  const fs::path kept = fs::path(RETAIN_FIXTURES) / "corrupt_checkpoints";
  std::size_t spoiled = 0;
  const json::value manifest = framework::read_json(kept / "manifest.json");
  for (const json::value& item : manifest.at("items").as_array()) {
    const std::string name(item.at("path").as_string()), expected(item.at("kind").as_string());
    if (expected == "ok" || !fs::is_directory(kept / name)) continue;
    const std::string model = "../corrupt_checkpoints/" + name;
    EXPECT_EQ(name_of(refusal(model.c_str(), [](const fs::path&) {})), expected) << name << "\n" << message;
    ++spoiled;
  }
  EXPECT_GE(spoiled, 15U);
}

TEST_F(CorruptModel, OriginalDirectories) {
  const std::tuple<const char*, const char*, ErrorKind> cases[] = {
      {"/mm_projector_type", R"("resampler")", kUnsupported},
      {"/mm_vision_tower", R"("../outside")", kUnsupported},
      {"/mm_vision_tower", R"("somebody/unknown-tower")", kUnsupported},
      {"/mm_vision_select_layer", R"("last")", kInvalid},
      {"/hidden_size", "true", kInvalid},
  };
  for (const auto& [pointer, value, kind] : cases) {
    const Edit edit{"llava_next_rope3/orig", "config.json", pointer, value, kind};
    const ErrorKind found = refusal(edit.model, [&](const fs::path& directory) { apply(edit, directory); });
    EXPECT_EQ(name_of(found), name_of(kind)) << pointer << " = " << value << "\n" << message;
  }
}

}  // namespace
}  // namespace retain::recipes
