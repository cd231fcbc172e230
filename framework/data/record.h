// SPDX-License-Identifier: Apache-2.0
// One sample of LLaVA-format data: {"id", "image", "conversations": [{"from": "human" | "gpt", "value"}]}.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/text/turn.h"

namespace retain::framework {

struct Record {
  std::string id;                             ///< "" when the file gives none
  std::vector<std::string> image_names;       ///< as written in the file
  std::vector<std::filesystem::path> images;  ///< the same, resolved against the data file's folder or the images root
  std::vector<Turn> turns;
  std::filesystem::path file;  ///< the file that holds it
  std::int64_t index = 0;      ///< its place in that file, from 0

  /// "train.json, record 3 (id r03)", for messages.
  std::string where() const;
};

/// Reads one record from parsed JSON; relative image names are resolved against `images_root`. Throws
/// Error(data_invalid) on a wrong shape and Error(data_unknown_role) on a `from` other than human and gpt.
Record parse_record(const json::value& value, const std::filesystem::path& file, std::int64_t index,
                    const std::filesystem::path& images_root);

/// Number of `<image>` in the turns that a chat template keeps.
std::int64_t count_image_placeholders(const Record& record);

/// What a record must have. Throws Error(data_no_answer) when `needs_answer` and no assistant turn would be trained,
/// then Error(data_image_count) when placeholders and images differ in number.
void validate_record(const Record& record, bool needs_answer);

}  // namespace retain::framework
