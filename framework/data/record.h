// SPDX-License-Identifier: Apache-2.0
// One sample of LLaVA-format data: {"id", "image", "conversations": [{"from": "human" | "gpt", "value"}]}. A video is a
// list of pictures: "video": ["0.jpg", "1.jpg", …], or a list of such lists; "fps" is their rate.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/image/picture.h"
#include "framework/text/turn.h"

namespace retain::framework {

/// A video whose frames lie in files of their own.
struct FrameList {
  std::vector<std::filesystem::path> frames;
  double per_second = 24;  ///< what transformers assumes of videos that do not say
};

struct Record {
  std::string id;                             ///< "" when the file gives none
  std::vector<std::string> image_names;       ///< as written in the file
  std::vector<Picture> images;                ///< the same, resolved against the data file's folder or the images root
  std::vector<FrameList> videos;
  std::vector<Turn> turns;
  std::filesystem::path file;  ///< the file that holds it
  std::int64_t index = 0;      ///< its place in that file, from 0

  /// "train.json, record 3 (id r03)", for messages.
  std::string where() const;
  /// Everything it shows: images, then frames.
  std::vector<Picture> pictures() const;
};

/// Reads one record from parsed JSON; relative image names are resolved against `images_root`. Throws
/// Error(data_invalid) on a wrong shape and Error(data_unknown_role) on a `from` other than human and gpt.
Record parse_record(const json::value& value, const std::filesystem::path& file, std::int64_t index,
                    const std::filesystem::path& images_root);

/// What a record must have. Throws Error(data_no_answer) when `needs_answer` and no assistant turn would be trained,
/// then Error(data_image_count) when `<image>` and images, or `<video>` and videos, differ in number in the turns that
/// a chat template keeps. In a record without videos `<video>` is text like any other.
void validate_record(const Record& record, bool needs_answer);

}  // namespace retain::framework
