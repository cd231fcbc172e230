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

void require_picture(const framework::Picture& picture) {
  if (picture.exists()) return;
  throw Error(ErrorKind::data_missing_image, {"there is no image " + picture.name(), "a readable file", "no such file",
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
      image_place_(find_placeholder(framework::kImageToken, chat_.format().image, config_.image_token)) {
  if (!image_place_)
    throw Error(ErrorKind::tokenizer_invalid,
                {"the tokenizer does not know the model's image token",
                 "id " + std::to_string(config_.image_token) + " once in " + std::string(chat_.format().image),
                 "other ids", "use the tokenizer that belongs to the model"});
  if (!chat_.format().video.empty())
    video_place_ = find_placeholder(framework::kVideoToken, chat_.format().video, config_.video_token.value_or(-1));
}

std::optional<std::int64_t> SampleBuilder::find_placeholder(std::string_view plain, std::string_view written,
                                                            std::int64_t id) {
  if (written == plain) return tokenizer_.add_special(plain);
  const std::vector<std::int64_t> ids = tokenizer_.encode(written);
  if (std::count(ids.begin(), ids.end(), id) != 1) return std::nullopt;
  return id;
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

void SampleBuilder::require_places(const Record& record, const std::vector<std::int64_t>& ids) const {
  const auto require = [&](const std::optional<std::int64_t>& place, std::size_t things, const char* name) {
    const std::ptrdiff_t places = place ? std::count(ids.begin(), ids.end(), *place) : 0;
    if (places == static_cast<std::ptrdiff_t>(things)) return;
    throw Error(ErrorKind::data_image_count, {record.where() + ": " + name + " and their placeholders differ in number",
                                              std::to_string(things) + " placeholders, one for each",
                                              std::to_string(places), "correct or remove the record"});
  };
  if (!record.videos.empty() && !video_place_)
    throw Error(ErrorKind::data_invalid,
                {record.where() + " has a video, which this model does not take", "pictures and text", "`video`",
                 "remove the record, or use a model that takes videos"});
  require(image_place_, record.images.size(), "images");
  require(video_place_, record.videos.size(), "videos");
}

ImageInput SampleBuilder::read(const Record& record, bool moving, std::size_t index, Pictures pictures) const {
  try {
    if (!moving) {
      require_picture(record.images.at(index));
      return pictures_->read(record.images[index], record.images.size(), pictures);
    }
    const framework::FrameList& video = record.videos.at(index);
    for (const std::filesystem::path& frame : video.frames) require_picture(frame);
    return pictures_->read_video(video, pictures);
  } catch (const Error& error) {
    framework::ErrorParts parts = error.parts();
    parts.what = record.where() + ": " + parts.what;
    throw Error(error.kind(), std::move(parts));
  }
}

Sample SampleBuilder::expand(const Record& record, framework::EncodedChat chat, Pictures pictures) const {
  require_places(record, chat.input_ids);
  Sample sample;
  sample.id = record.id;
  std::size_t images = 0, videos = 0;
  for (std::size_t i = 0; i < chat.input_ids.size(); ++i) {
    const std::int64_t id = chat.input_ids[i];
    const bool moving = video_place_ && id == *video_place_;
    if (!moving && id != *image_place_) {
      check_id(id, config_.text.vocabulary, record);
      sample.ids.push_back(id);
      sample.labels.push_back(chat.labels[i]);
      continue;
    }
    sample.images.push_back(read(record, moving, moving ? videos++ : images++, pictures));
    const auto tokens = static_cast<std::size_t>(sample.images.back().tokens);
    sample.ids.insert(sample.ids.end(), tokens,
                      moving ? config_.video_token.value_or(config_.image_token) : config_.image_token);
    sample.labels.insert(sample.labels.end(), tokens, framework::kIgnoredLabel);
  }
  if (const auto positions = family_of(config_).positions) sample.positions = positions(sample, config_);
  return sample;
}

}  // namespace retain::models
