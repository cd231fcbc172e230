// SPDX-License-Identifier: Apache-2.0
// What a model is, read from its config.json alone; no size is hard-coded anywhere else.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "framework/base/dtype.h"

namespace retain::models {

enum class Activation { silu, gelu_tanh, gelu_erf, quick_gelu };

/// What a tower over pictures of any size (Qwen2.5-VL's) has beside the common fields.
struct WindowedVision {
  std::int64_t frames = 2;      ///< that one patch spans
  std::int64_t merge = 2;       ///< patches along a side of a visual token
  std::int64_t window = 112;    ///< pixels along a side of an attention window
  std::vector<std::int64_t> full_layers;  ///< layers that attend to the whole picture
  double tokens_per_second = 4;           ///< steps of a video's time positions
  double rope_theta = 10000.0;            ///< of the rotary embedding over rows and columns
  /// Visual tokens along a side of a window.
  std::int64_t window_tokens(std::int64_t patch_size) const { return window / merge / patch_size; }
};

/// A vision tower.
struct VisionConfig {
  std::string kind = "siglip";
  std::int64_t hidden = 0;         ///< H
  std::int64_t intermediate = 0;   ///< of the tower's MLP
  std::int64_t layers = 0;         ///< layers that are stored
  std::int64_t unused_layers = 0;  ///< the last of them, above the one whose output is the feature: never computed
  std::int64_t heads = 0;
  std::int64_t image_size = 0;  ///< side of a tile in pixels; of a typical picture, for estimates, where sizes are free
  std::int64_t patch_size = 0;  ///< pixels; what does not fill a patch at the right and bottom is cropped
  std::int64_t channels = 3;
  double norm_eps = 1e-6;
  Activation activation = Activation::gelu_tanh;
  bool class_token = false;   ///< a learned row before the patches, left out of the features
  bool patch_bias = true;     ///< the patch embedding has a bias
  bool pre_norm = false;      ///< a norm before the first layer, which files call pre_layrnorm
  bool has_post_norm = true;  ///< the file stores post_layernorm (never computed, never gets a gradient)
  std::optional<WindowedVision> windowed;
  std::int64_t grid() const { return image_size / patch_size; }  ///< patches along a side
  std::int64_t patches() const { return grid() * grid(); }
  std::int64_t computed_layers() const { return layers - unused_layers; }
  /// Visual tokens of a tile.
  std::int64_t tile_tokens() const { return windowed ? patches() / (windowed->merge * windowed->merge) : patches(); }
};

/// A change of the rotary frequencies for longer contexts (transformers' modeling_rope_utils.py).
struct RopeScaling {
  enum class Kind { linear, llama3 };
  Kind kind = Kind::linear;
  double factor = 1;            ///< linear: divides every frequency; llama3: the low ones
  double low_freq_factor = 1;   ///< llama3: below this many turns in `original_positions` a frequency is low
  double high_freq_factor = 4;  ///< llama3: above this many it stays as it is; between the two it is interpolated
  double original_positions = 8192;
};

/// A decoder.
struct TextConfig {
  std::string kind = "qwen2";
  std::int64_t hidden = 0;
  std::int64_t intermediate = 0;
  std::int64_t layers = 0;
  std::int64_t heads = 0;
  std::int64_t kv_heads = 0;
  std::int64_t head_size = 0;
  std::int64_t vocabulary = 0;
  std::int64_t max_positions = 0;
  double norm_eps = 1e-6;
  double rope_theta = 10000.0;
  std::vector<std::int64_t> rope_sections;  ///< M-RoPE: frequencies turned by frame, row and column; empty: plain positions
  std::optional<RopeScaling> rope_scaling;
  bool qkv_bias = true;    ///< Qwen2: q, k, v have a bias, o has none
  bool tied_head = false;  ///< lm_head is embed_tokens
  Activation activation = Activation::silu;
};

/// A whole model.
struct LmmConfig {
  std::string family = "llava_onevision";
  VisionConfig vision;
  TextConfig text;
  Activation projector_activation = Activation::gelu_erf;
  bool projector_bias = true;
  bool image_newline = true;
  std::int64_t image_token = 0;                                ///< id that stands for one visual token
  std::optional<std::int64_t> video_token;                     ///< the same of a video
  std::vector<std::pair<std::int64_t, std::int64_t>> pinpoints;  ///< (height, width) in pixels, in the file's order
  bool pads_pictures = false;  ///< without pinpoints: a picture is padded to a square, else its middle is cropped
  std::optional<std::int64_t> max_tiles;                         ///< 9 for "anyres_max_9"; empty: no limit
  std::vector<std::int64_t> eos_tokens;                          ///< generation stops at any of these
  framework::DType stored_dtype = framework::DType::float32;     ///< the file's `dtype` / `torch_dtype`
  std::string naming = "hub";  ///< tensor names that go with this config.json: "hub" or "orig"
};

/// Reads DIR/config.json (and generation_config.json for eos_tokens if present) in the transformers-5, transformers-4
/// (hub) or original LLaVA naming. Errors: io; config_invalid (not JSON, a missing or senseless field, named);
/// config_unsupported (another architecture; lists those supported).
LmmConfig read_config(const std::filesystem::path& directory);
/// The same from a configuration file of any name, without a generation_config.json; other files it needs (tower,
/// tokenizer) are looked for beside it.
LmmConfig read_config_file(const std::filesystem::path& file);

}  // namespace retain::models
