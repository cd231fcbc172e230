// SPDX-License-Identifier: Apache-2.0
#include "models/llava/original_parts.h"

#include <algorithm>
#include <array>
#include <regex>

#include "framework/base/error.h"
#include "models/decoder/text_config.h"
#include "models/llava/config_parts.h"

namespace retain::models::llava {

namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;

namespace {

/// The hub's towers that LLaVA checkpoints name: vision_config of each repository's config.json.
struct KnownTower {
  std::string_view id, kind;
  std::int64_t hidden, intermediate, layers, heads, image_size, patch_size;
};
constexpr std::array<KnownTower, 10> kTowers{{
    {"google/siglip-so400m-patch14-384", "siglip", 1152, 4304, 27, 16, 384, 14},
    {"google/siglip-so400m-patch14-224", "siglip", 1152, 4304, 27, 16, 224, 14},
    {"google/siglip-large-patch16-384", "siglip", 1024, 4096, 24, 16, 384, 16},
    {"google/siglip-large-patch16-256", "siglip", 1024, 4096, 24, 16, 256, 16},
    {"google/siglip-base-patch16-384", "siglip", 768, 3072, 12, 12, 384, 16},
    {"google/siglip-base-patch16-224", "siglip", 768, 3072, 12, 12, 224, 16},
    {"openai/clip-vit-large-patch14-336", "clip", 1024, 4096, 24, 16, 336, 14},
    {"openai/clip-vit-large-patch14", "clip", 1024, 4096, 24, 16, 224, 14},
    {"openai/clip-vit-base-patch16", "clip", 768, 3072, 12, 12, 224, 16},
    {"openai/clip-vit-base-patch32", "clip", 768, 3072, 12, 12, 224, 32},
}};

json::object object_of(const KnownTower& tower) {
  return {{"hidden_size", tower.hidden},       {"intermediate_size", tower.intermediate},
          {"num_hidden_layers", tower.layers}, {"num_attention_heads", tower.heads},
          {"image_size", tower.image_size},    {"patch_size", tower.patch_size}};
}

std::int64_t id_of(const json::value& value, const std::filesystem::path& file) {
  if (const std::int64_t* id = value.if_int64(); id && *id >= 0) return *id;
  throw Error(ErrorKind::tokenizer_invalid, {file.string() + ": a token's id is not a number", "an integer from 0",
                                             json::serialize(value), "download tokenizer.json again"});
}

}  // namespace

const json::object& TowerSource::fields() const {
  const json::object& whole = document.get_object();
  return path.empty() ? whole : whole.at("vision_config").get_object();
}

TowerSource find_tower(const ConfigFields& fields, const std::filesystem::path& directory, std::string_view kind) {
  const std::string tower = fields.text("mm_vision_tower", std::nullopt);
  const std::filesystem::path file = directory / tower / "config.json";  // an absolute `tower` replaces `directory`
  if (std::filesystem::exists(file)) {
    TowerSource source{framework::read_json(file), file.string(), ""};
    if (!source.document.is_object()) throw Error(ErrorKind::config_invalid, file.string() + " is not a JSON object");
    const json::value* nested = source.document.get_object().if_contains("vision_config");
    if (nested && nested->is_object()) source.path = "vision_config.";
    return source;
  }
  std::string known;
  for (const KnownTower& candidate : kTowers) {
    if (candidate.kind != kind) continue;
    if (tower == candidate.id) return {object_of(candidate), fields.file() + " (tower " + tower + ")", ""};
    known += (known.empty() ? "" : ", ") + std::string(candidate.id);
  }
  fields.unsupported("mm_vision_tower", "a folder with the tower's config.json, or one of " + known);
}

std::int64_t find_image_token(const std::filesystem::path& directory, std::int64_t vocabulary, std::int64_t fallback) {
  const std::filesystem::path file = directory / "tokenizer.json";
  if (!std::filesystem::exists(file)) return std::min(fallback, vocabulary - 1);
  const json::value document = framework::read_json(file, ErrorKind::tokenizer_invalid);
  std::int64_t next = 0, unknown = vocabulary - 1;
  boost::system::error_code code;
  if (const json::value* added = document.find_pointer("/added_tokens", code); added && added->is_array())
    for (const json::value& token : added->get_array()) {
      const json::object* entry = token.if_object();
      if (!entry || !entry->contains("id") || !entry->contains("content")) continue;
      const std::int64_t id = id_of(entry->at("id"), file);
      if (entry->at("content") == "<image>") return id;
      next = std::max(next, id + 1);
    }
  const json::value* unknown_name = document.find_pointer("/model/unk_token", code);
  if (const json::value* entries = document.find_pointer("/model/vocab", code); entries && entries->is_object())
    for (const auto& [text, value] : entries->get_object()) {
      const std::int64_t id = id_of(value, file);
      next = std::max(next, id + 1);
      if (unknown_name && unknown_name->is_string() && unknown_name->get_string() == text) unknown = id;
    }
  return next < vocabulary ? next : std::min(unknown, vocabulary - 1);
}

void require_only(const ConfigFields& fields, std::string_view key, const char* value) {
  if (fields.text(key, value) != value) fields.unsupported(key, value);
}

LmmConfig read_original_parts(const ConfigFields& fields, const std::filesystem::path& directory,
                              const OriginalModel& model) {
  require_only(fields, "mm_projector_type", "mlp2x_gelu");
  require_only(fields, "mm_vision_select_feature", "patch");
  LmmConfig config;
  config.naming = "orig";
  config.text = read_decoder(fields, model.decoder);
  const TowerSource tower = find_tower(fields, directory, model.tower);
  config.vision = read_tower(ConfigFields(tower.fields(), tower.file, tower.path), model.tower);
  if (model.tower == "clip") {
    config.vision.unused_layers = layers_above_feature(fields, "mm_vision_select_layer", config.vision, -2);
  } else {
    if (config.vision.layers < 2)
      fields.refuse("mm_vision_tower", "a tower of at least two layers, whose last is unused");
    config.vision.layers -= 1;
  }
  if (fields.integer("mm_hidden_size", config.vision.hidden) != config.vision.hidden)
    fields.refuse("mm_hidden_size", "the tower's hidden_size " + std::to_string(config.vision.hidden));
  config.image_token = find_image_token(directory, config.text.vocabulary, model.image_token);
  config.eos_tokens = read_end_tokens(fields, model.decoder);
  config.stored_dtype = read_dtype(fields);
  return config;
}

Pinpoints read_original_pinpoints(const ConfigFields& fields, std::int64_t tile, Pinpoints fallback) {
  Pinpoints pinpoints = read_pinpoints(fields, tile, std::move(fallback));
  for (auto& [height, width] : pinpoints) std::swap(height, width);
  return pinpoints;
}

std::vector<std::pair<std::int64_t, std::int64_t>> grid_of_tiles(const ConfigFields& fields, std::string_view key,
                                                                 std::int64_t tile) {
  static const std::regex pattern(
      R"(\s*\(\s*(\d{1,3})\s*x\s*(\d{1,3})\s*\)(?:.*\(\s*(\d{1,3})\s*x\s*(\d{1,3})\s*\))?\s*)");
  const std::string text = fields.text(key, std::nullopt);
  std::smatch found;
  if (text.size() > 1'000 || !std::regex_match(text, found, pattern))
    fields.refuse(key, "a list of pairs of pixels, or tiles such as \"(1x1),...,(6x6)\"");
  const auto number = [&](std::size_t i) { return std::stoll(found[i].str()); };
  const std::int64_t from_i = number(1), from_j = number(2);
  const std::int64_t to_i = found[3].matched ? number(3) : from_i, to_j = found[4].matched ? number(4) : from_j;
  std::vector<std::pair<std::int64_t, std::int64_t>> pinpoints;
  for (std::int64_t i = from_i; i <= to_i; ++i)
    for (std::int64_t j = from_j; j <= to_j; ++j) pinpoints.emplace_back(i * tile, j * tile);
  if (from_i < 1 || from_j < 1 || pinpoints.empty()) fields.refuse(key, "grids of at least one tile");
  return pinpoints;
}

}  // namespace retain::models::llava
