// SPDX-License-Identifier: Apache-2.0
// A stage of a store as a Hugging Face directory.
#pragma once
#include <filesystem>
#include <string>

#include "framework/store/stage_reader.h"

namespace retain::recipes {

/// Writes every tensor bit for bit under the names that go with the stage's own config.json (or `naming`, see
/// models/weights/export.h), and the files the base model came with. Throws Error(store_invalid) for a stage without a
/// config.json, Error(usage) when `directory` is not empty, Error(io), and what reading throws.
void export_stage(const framework::StageReader& stage, const std::filesystem::path& directory, const std::string& naming = {});

}  // namespace retain::recipes
