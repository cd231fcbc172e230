// SPDX-License-Identifier: Apache-2.0
// Lengths of a task's records kept in a file, so that a large set is tokenised once and not before every stage.
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "framework/text/chat.h"

namespace retain::recipes {

struct RecordSize {
  std::int64_t tokens = 0;   ///< packed, images expanded; negative where the record cannot be used
  std::int64_t answers = 0;  ///< terms of the loss
};

/// The file that keeps the lengths of records whose texts and pictures have these digests, as the model in `model` sees them
/// (its small files' bytes and the label mode count). `store`/lengths/<key>.json; an empty path where `store` is empty.
std::filesystem::path lengths_file(const std::filesystem::path& store, const std::filesystem::path& model, framework::LabelMode mode,
                                   const std::string& records, const std::string& pictures);

/// Nothing when there is no such file, or it is damaged or of another number of records.
std::optional<std::vector<RecordSize>> read_lengths(const std::filesystem::path& file, std::int64_t records);

/// Whole or not at all. A folder that cannot be written is no error: lengths can be counted again.
void write_lengths(const std::filesystem::path& file, const std::vector<RecordSize>& sizes);

}  // namespace retain::recipes
