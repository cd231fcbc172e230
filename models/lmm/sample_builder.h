// SPDX-License-Identifier: Apache-2.0
// From a record to what the model computes on: chat template, tokens, labels, pictures expanded to visual tokens.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "framework/data/record.h"
#include "framework/text/chat.h"
#include "framework/text/tokenizer.h"
#include "models/lmm/batch.h"
#include "models/lmm/config.h"
#include "models/lmm/picture_reader.h"

namespace retain::models {

/// Reads a model directory's tokenizer and processor once; const members may be called from several threads.
class SampleBuilder {
 public:
  /// `directory`: config.json's folder, with tokenizer.json and (or not) preprocessor_config.json.
  /// Throws what Tokenizer::load and the family's picture reader throw.
  SampleBuilder(const std::filesystem::path& directory, const LmmConfig& config, framework::LabelMode mode);

  /// For training: the whole conversation, labels as the mode says. Errors: data_no_answer, data_image_count (naming
  /// the record), data_invalid (a video, and a model that takes none), data_missing_image, the image kinds.
  Sample training_sample(const framework::Record& record, Pictures pictures) const;

  /// For generation: the last answer left out, the assistant's header opened; labels all ignored.
  Sample prompt_sample(const framework::Record& record, Pictures pictures) const;

  const framework::Tokenizer& tokenizer() const noexcept { return tokenizer_; }
  const framework::ChatTemplate& chat() const noexcept { return chat_; }

 private:
  /// What the tokenizer makes of one `<image>` or `<video>` that the template writes as `written`, where `id` stands
  /// for its visual tokens; empty where it does not know it.
  std::optional<std::int64_t> find_placeholder(std::string_view plain, std::string_view written, std::int64_t id);
  /// A record's picture or video.
  ImageInput read(const framework::Record& record, bool moving, std::size_t index, Pictures pictures) const;
  void require_places(const framework::Record& record, const std::vector<std::int64_t>& ids) const;
  Sample expand(const framework::Record& record, framework::EncodedChat chat, Pictures pictures) const;

  LmmConfig config_;
  framework::Tokenizer tokenizer_;
  framework::ChatTemplate chat_;
  std::unique_ptr<PictureReader> pictures_;
  framework::LabelMode mode_;
  std::optional<std::int64_t> image_place_;
  std::optional<std::int64_t> video_place_;  ///< empty where the model takes no videos
};

}  // namespace retain::models
