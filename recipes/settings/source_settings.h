// SPDX-License-Identifier: Apache-2.0
// Where data lie, and the `source` table of a benchmark or a task: how the rows of a data set become records.
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "framework/config/toml.h"
#include "framework/data/record_set.h"
#include "framework/data/row_records.h"

namespace retain::recipes {

struct Benchmark;
struct Task;
enum class Mode;

/// A path key: relative to the file that names it (`folder`, or the included file's), unless it came from --set. Required where
/// `otherwise` is nullopt.
std::filesystem::path path_of(const framework::ConfigTable& table, const std::string& key, const std::filesystem::path& folder,
                              std::optional<std::string> otherwise = "");

/// Null where `entry` has no `source`. In faithful mode `faithful_prompt` takes the place of `prompt`. Throws
/// Error(config_invalid).
std::shared_ptr<const framework::SourceFields> read_source(const framework::ConfigTable& entry, Mode mode);

/// The records of a benchmark and of a task, by its source where it has one. Throws what RecordSet::load() throws.
framework::RecordSet load_records(const Benchmark& benchmark);
framework::RecordSet load_records(const Task& task);

}  // namespace retain::recipes
