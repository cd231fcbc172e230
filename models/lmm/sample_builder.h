// SPDX-License-Identifier: Apache-2.0
// From a record to what the model computes on: chat template, tokens, labels, pictures expanded to visual tokens.
#pragma once
#include <filesystem>
#include <memory>

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

  /// For training: the whole conversation, labels as the mode says. Errors: data_no_answer, data_image_count (naming the
  /// record), data_missing_image, the image kinds.
  Sample training_sample(const framework::Record& record, Pictures pictures) const;

  /// For generation: the last answer left out, the assistant's header opened; labels all ignored.
  Sample prompt_sample(const framework::Record& record, Pictures pictures) const;

  const framework::Tokenizer& tokenizer() const noexcept { return tokenizer_; }
  const framework::ChatTemplate& chat() const noexcept { return chat_; }

 private:
  /// Throws Error(tokenizer_invalid) where the tokenizer has no image token.
  std::int64_t find_placeholder();
  Sample expand(const framework::Record& record, framework::EncodedChat chat, Pictures pictures) const;

  LmmConfig config_;
  framework::Tokenizer tokenizer_;
  framework::ChatTemplate chat_;
  std::unique_ptr<PictureReader> pictures_;
  framework::LabelMode mode_;
  std::int64_t placeholder_ = 0;  ///< what the tokenizer makes of one <image>
};

}  // namespace retain::models
