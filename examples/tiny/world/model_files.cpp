// SPDX-License-Identifier: Apache-2.0
// The tiny model: a SigLIP tower with one patch a cell, a two-layer projector and a Qwen2 decoder.
#include "examples/tiny/world/model_files.h"

#include "examples/tiny/world/picture.h"
#include "examples/tiny/world/writer.h"

namespace retain::tiny {
namespace {

namespace json = framework::json;

constexpr std::int64_t kRowMultiple = 16;  ///< embedding rows, so that 1, 2 and 4 tensor ranks divide them

json::array pinpoints() {
  return {json::array{kPictureSide, kPictureSide}};
}

json::object vision_config() {
  return {{"model_type", "siglip_vision_model"},
          {"hidden_size", 128},
          {"intermediate_size", 256},
          {"num_hidden_layers", 2},
          {"num_attention_heads", 4},
          {"num_channels", 3},
          {"image_size", kPictureSide},
          {"patch_size", kCellSide},
          {"hidden_act", "gelu_pytorch_tanh"},
          {"layer_norm_eps", 1e-6},
          {"attention_dropout", 0.0},
          {"vision_use_head", false}};
}

json::object text_config(const TokenizerBuilder::Ids& ids) {
  const std::int64_t rows = (ids.count + kRowMultiple - 1) / kRowMultiple * kRowMultiple;
  return {{"model_type", "qwen2"},
          {"vocab_size", rows},
          {"hidden_size", 128},
          {"intermediate_size", 256},
          {"num_hidden_layers", 4},
          {"num_attention_heads", 4},
          {"num_key_value_heads", 2},
          {"hidden_act", "silu"},
          {"max_position_embeddings", 512},
          {"rms_norm_eps", 1e-6},
          {"rope_theta", 1000000.0},
          {"rope_parameters", {{"rope_type", "default"}, {"rope_theta", 1000000.0}}},
          {"tie_word_embeddings", false},
          {"use_sliding_window", false},
          {"attention_dropout", 0.0},
          {"bos_token_id", nullptr},
          {"eos_token_id", ids.turn_end},
          {"pad_token_id", ids.end_of_text}};
}

json::object model_config(const TokenizerBuilder::Ids& ids) {
  return {{"architectures", json::array{"LlavaOnevisionForConditionalGeneration"}},
          {"model_type", "llava_onevision"},
          {"dtype", "float32"},
          {"image_token_index", ids.image},
          {"image_grid_pinpoints", pinpoints()},
          {"vision_aspect_ratio", "anyres_max_9"},
          {"vision_feature_layer", -1},
          {"vision_feature_select_strategy", "full"},
          {"multimodal_projector_bias", true},
          {"projector_hidden_act", "gelu"},
          {"tie_word_embeddings", false},
          {"vision_config", vision_config()},
          {"text_config", text_config(ids)}};
}

json::object preprocessor_config() {
  return {{"image_processor_type", "LlavaOnevisionImageProcessor"},
          {"do_convert_rgb", true},
          {"do_resize", true},
          {"do_rescale", true},
          {"do_normalize", true},
          {"do_pad", true},
          {"image_grid_pinpoints", pinpoints()},
          {"image_mean", json::array{0.0, 0.0, 0.0}},
          {"image_std", json::array{0.5, 0.5, 0.5}},
          {"resample", 3},
          {"rescale_factor", 1.0 / 255.0},
          {"size", {{"height", kPictureSide}, {"width", kPictureSide}}}};
}

json::object tokenizer_config() {
  return {{"tokenizer_class", "TokenizersBackend"},
          {"backend", "tokenizers"},
          {"clean_up_tokenization_spaces", false},
          {"eos_token", "<|im_end|>"},
          {"pad_token", "<|endoftext|>"},
          {"extra_special_tokens", json::array{"<|im_start|>", "<image>"}},
          {"model_max_length", 512}};
}

}  // namespace

void write_model_files(const std::filesystem::path& directory, const TokenizerBuilder& builder) {
  const json::object tokenizer = builder.build();
  const TokenizerBuilder::Ids ids = TokenizerBuilder::ids(tokenizer);
  const json::object generation{{"eos_token_id", ids.turn_end}, {"pad_token_id", ids.end_of_text}};
  std::filesystem::create_directories(directory);
  write_text(directory / "tokenizer.json", framework::pretty(tokenizer));
  write_text(directory / "tokenizer_config.json", framework::pretty(tokenizer_config()));
  write_text(directory / "config.json", framework::pretty(model_config(ids)));
  write_text(directory / "generation_config.json", framework::pretty(generation));
  write_text(directory / "preprocessor_config.json", framework::pretty(preprocessor_config()));
}

}  // namespace retain::tiny
