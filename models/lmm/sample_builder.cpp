// SPDX-License-Identifier: Apache-2.0
#include "models/lmm/sample_builder.h"

#include <algorithm>
#include <utility>

#include "framework/base/error.h"
#include "models/lmm/family.h"

namespace retain::models {

using framework::Error;
using framework::ErrorKind;
using framework::Record;

namespace {

framework::AlphaMode alpha_of(framework::LabelMode mode) {
  return mode == framework::LabelMode::faithful ? framework::AlphaMode::drop : framework::AlphaMode::white;
}

void require_picture(const std::filesystem::path& file) {
  if (std::filesystem::exists(file)) return;
  throw Error(ErrorKind::data_missing_image, {"there is no image " + file.string(), "a readable file", "no such file",
                                              "correct the record, or name the images' folder with `images`"});
}

void check_id(std::int64_t id, std::int64_t vocabulary, const Record& record) {
  if (id < vocabulary) return;
  throw Error(ErrorKind::tokenizer_invalid,
              {record.where() + ": the tokenizer gives an id that the model has no embedding for",
               "ids below vocab_size " + std::to_string(vocabulary), std::to_string(id),
               "use the tokenizer that belongs to the model"});
}

}  // namespace

SampleBuilder::SampleBuilder(const std::filesystem::path& directory, const LmmConfig& config, framework::LabelMode mode)
    : config_(config),
      tokenizer_(framework::Tokenizer::load(directory)),
      chat_(framework::ChatTemplate::named(family_of(config).chat_template(config, tokenizer_))),
      pictures_(family_of(config).make_pictures(directory, config, alpha_of(mode))),
      mode_(mode),
      placeholder_(find_placeholder()) {}

std::int64_t SampleBuilder::find_placeholder() {
  const std::string_view image = chat_.format().image;
  if (image == framework::kImageToken) return tokenizer_.add_special(framework::kImageToken);
  const std::vector<std::int64_t> ids = tokenizer_.encode(image);
  if (std::count(ids.begin(), ids.end(), config_.image_token) != 1)
    throw Error(ErrorKind::tokenizer_invalid,
                {"the tokenizer does not know the model's image token",
                 "id " + std::to_string(config_.image_token) + " once in " + std::string(image), "other ids",
                 "use the tokenizer that belongs to the model"});
  return config_.image_token;
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
  const auto places = static_cast<std::size_t>(std::count(chat.input_ids.begin(), chat.input_ids.end(), placeholder_));
  if (places != record.images.size())
    throw Error(ErrorKind::data_image_count,
                {record.where() + ": image placeholders and images differ in number",
                 std::to_string(record.images.size()) + " placeholders, one for each image", std::to_string(places),
                 "correct or remove the record"});
  Sample sample;
  sample.id = record.id;
  for (std::size_t i = 0; i < chat.input_ids.size(); ++i) {
    if (chat.input_ids[i] != placeholder_) {
      check_id(chat.input_ids[i], config_.text.vocabulary, record);
      sample.ids.push_back(chat.input_ids[i]);
      sample.labels.push_back(chat.labels[i]);
      continue;
    }
    try {
      const std::filesystem::path& file = record.images[sample.images.size()];
      require_picture(file);
      sample.images.push_back(pictures_->read(file, places, pictures));
    } catch (const Error& error) {
      framework::ErrorParts parts = error.parts();
      parts.what = record.where() + ": " + parts.what;
      throw Error(error.kind(), std::move(parts));
    }
    const auto tokens = static_cast<std::size_t>(sample.images.back().tokens);
    sample.ids.insert(sample.ids.end(), tokens, config_.image_token);
    sample.labels.insert(sample.labels.end(), tokens, framework::kIgnoredLabel);
  }
  if (const auto positions = family_of(config_).positions) sample.positions = positions(sample, config_);
  return sample;
}

}  // namespace retain::models
