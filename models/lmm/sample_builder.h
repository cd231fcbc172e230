// SPDX-License-Identifier: Apache-2.0
// From a record to what the model computes on: chat template, tokens, labels, pictures expanded to visual tokens.
#pragma once
#include <filesystem>

#include "framework/data/record.h"
#include "framework/image/anyres.h"
#include "framework/image/processor.h"
#include "framework/text/chat.h"
#include "framework/text/tokenizer.h"
#include "models/lmm/batch.h"
#include "models/lmm/config.h"

namespace retain::models {

/// How far pictures are read.
enum class Pictures {
  pixels,  ///< decoded and cut into tiles
  sizes,   ///< headers only: token counts are right, tiles_NCSS stays undefined
};

/// Reads a model directory's tokenizer and processor once; const members may be called from several threads.
class SampleBuilder {
 public:
  /// `directory`: config.json's folder, with tokenizer.json and (or not) preprocessor_config.json.
  /// Throws what Tokenizer::load and read_processor_settings throw.
  SampleBuilder(const std::filesystem::path& directory, const LmmConfig& config, framework::LabelMode mode);

  /// For training: the whole conversation, labels as the mode says. Errors: data_no_answer, data_image_count (naming the
  /// record), data_missing_image, the image kinds.
  Sample training_sample(const framework::Record& record, Pictures pictures) const;

  /// For generation: the last answer left out, the assistant's header opened; labels all ignored.
  Sample prompt_sample(const framework::Record& record, Pictures pictures) const;

  const framework::Tokenizer& tokenizer() const noexcept { return tokenizer_; }
  const framework::ChatTemplate& chat() const noexcept { return chat_; }

 private:
  Sample expand(const framework::Record& record, framework::EncodedChat chat, Pictures pictures) const;

  LmmConfig config_;
  framework::Tokenizer tokenizer_;
  framework::ChatTemplate chat_;
  framework::ProcessorSettings processor_;
  framework::LabelMode mode_;
  std::int64_t placeholder_ = 0;  ///< what the tokenizer makes of one <image>
};

}  // namespace retain::models
