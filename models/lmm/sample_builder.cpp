// SPDX-License-Identifier: Apache-2.0
#include "models/lmm/sample_builder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "framework/base/error.h"
#include "framework/image/decode.h"

namespace retain::models {

using framework::Error;
using framework::ErrorKind;
using framework::Record;

namespace {

framework::ModelPictures pictures_of(const LmmConfig& config) {
  return {.tile = config.vision.image_size, .pinpoints = config.pinpoints, .clip = config.vision.kind == "clip"};
}

/// The same pinpoints decide how tiles are cut (processor) and how their features are arranged (model).
void check_pinpoints(const std::filesystem::path& directory, std::vector<framework::Resolution> processor,
                     std::vector<framework::Resolution> model) {
  std::sort(processor.begin(), processor.end());
  std::sort(model.begin(), model.end());
  if (processor == model) return;
  throw Error(ErrorKind::config_invalid,
              {directory.string() + ": image_grid_pinpoints of the processor and of config.json differ",
               std::to_string(model.size()) + " resolutions, as in config.json",
               std::to_string(processor.size()) + " resolutions, not the same", "use the files of one model"});
}

/// Tensor over the processor's own memory, [tiles, 3, side, side].
at::Tensor tensor_of(framework::ProcessedImage processed) {
  auto values = std::make_shared<std::vector<float>>(std::move(processed.tiles));
  float* data = values->data();
  return at::from_blob(data, {processed.tiles_count, 3, processed.side, processed.side},
                       [values](void*) mutable { values.reset(); }, at::kFloat);
}

/// One picture of a record that holds `count` of them.
ImageInput read_picture(const std::filesystem::path& file, std::size_t count, Pictures pictures,
                        const framework::ProcessorSettings& processor, const framework::AnyresSettings& anyres) {
  if (!std::filesystem::exists(file))
    throw Error(ErrorKind::data_missing_image, {"there is no image " + file.string(), "a readable file", "no such file",
                                                "correct the record, or name the images' folder with `images`"});
  const bool single = count > 1;
  ImageInput input;
  if (pictures == Pictures::sizes) {
    const framework::ImageSize size = framework::read_size(file);
    input.height = size.height;
    input.width = size.width;
  } else {
    const framework::Image image = framework::load_image(file, processor.alpha);
    framework::ProcessedImage processed = framework::process_image(
        image, processor, single ? framework::Tiling::single : framework::Tiling::anyres);
    input.height = image.height;
    input.width = image.width;
    input.key = processed.digest;
    input.tiles_NCSS = tensor_of(std::move(processed));
  }
  input.tokens = single ? framework::plan_single_tile(anyres).tokens
                        : framework::plan_anyres(input.height, input.width, anyres).tokens;
  return input;
}

void check_id(std::int64_t id, std::int64_t vocabulary, const Record& record) {
  if (id < vocabulary) return;
  throw Error(ErrorKind::tokenizer_invalid,
              {record.where() + ": the tokenizer gives an id that the model has no embedding for",
               "ids below vocab_size " + std::to_string(vocabulary), std::to_string(id),
               "use the tokenizer that belongs to the model"});
}

/// The chat template of a family's data.
std::string_view template_of(const LmmConfig& config) {
  if (config.family == "llava_onevision") return "qwen_1_5";
  throw Error(ErrorKind::config_unsupported, "no chat template is known for the family " + config.family);
}

}  // namespace

SampleBuilder::SampleBuilder(const std::filesystem::path& directory, const LmmConfig& config, framework::LabelMode mode)
    : tokenizer_(framework::Tokenizer::load(directory)),
      chat_(framework::ChatTemplate::named(template_of(config))),
      processor_(framework::read_processor_settings(directory, pictures_of(config))),
      mode_(mode),
      image_token_(config.image_token),
      vocabulary_(config.text.vocabulary) {
  check_pinpoints(directory, processor_.pinpoints, config.pinpoints);
  if (mode == framework::LabelMode::faithful) processor_.alpha = framework::AlphaMode::drop;
  anyres_ = {.pinpoints = processor_.pinpoints,
             .tile = config.vision.image_size,
             .grid = config.vision.grid(),
             .max_tiles = config.max_tiles,
             .newline = config.image_newline};
  tokenizer_.add_special(framework::kImageToken);
}

Sample SampleBuilder::training_sample(const Record& record, Pictures pictures) const {
  framework::validate_record(record, true);
  return expand(record, chat_.encode(tokenizer_, record.turns, mode_), pictures);
}

Sample SampleBuilder::prompt_sample(const Record& record, Pictures pictures) const {
  framework::validate_record(record, false);
  framework::EncodedChat chat = chat_.encode_for_generation(tokenizer_, record.turns);
  chat.labels.assign(chat.input_ids.size(), framework::kIgnoredLabel);
  return expand(record, std::move(chat), pictures);
}

Sample SampleBuilder::expand(const Record& record, framework::EncodedChat chat, Pictures pictures) const {
  const std::int64_t placeholder = *tokenizer_.id_of(framework::kImageToken);
  const auto places = static_cast<std::size_t>(std::count(chat.input_ids.begin(), chat.input_ids.end(), placeholder));
  if (places != record.images.size())
    throw Error(ErrorKind::data_image_count,
                {record.where() + ": image placeholders and images differ in number", std::to_string(record.images.size()),
                 std::to_string(places) + " placeholders", "correct or remove the record"});
  Sample sample;
  sample.id = record.id;
  for (std::size_t i = 0; i < chat.input_ids.size(); ++i) {
    if (chat.input_ids[i] != placeholder) {
      check_id(chat.input_ids[i], vocabulary_, record);
      sample.ids.push_back(chat.input_ids[i]);
      sample.labels.push_back(chat.labels[i]);
      continue;
    }
    const std::filesystem::path& file = record.images[sample.images.size()];
    try {
      sample.images.push_back(read_picture(file, record.images.size(), pictures, processor_, anyres_));
    } catch (const Error& error) {
      framework::ErrorParts parts = error.parts();
      parts.what = record.where() + ": " + parts.what;
      throw Error(error.kind(), std::move(parts));
    }
    const auto tokens = static_cast<std::size_t>(sample.images.back().tokens);
    sample.ids.insert(sample.ids.end(), tokens, image_token_);
    sample.labels.insert(sample.labels.end(), tokens, framework::kIgnoredLabel);
  }
  return sample;
}

}  // namespace retain::models
