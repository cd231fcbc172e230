// SPDX-License-Identifier: Apache-2.0
// A stage of a store as a Hugging Face directory.
#pragma once
#include <filesystem>
#include <string>

#include "framework/store/stage_reader.h"

namespace retain::recipes {

/// Writes every tensor bit for bit under the names that go with the stage's own config.json (or `naming`, see
/// models/weights/export.h), and the files the base model came with. Throws Error(store_invalid) for a stage without a
/// config.json, Error(config_unsupported) for one that holds parameters of a method, Error(usage) when `directory` is
/// not empty, Error(io), and what reading throws.
void export_stage(const framework::StageReader& stage, const std::filesystem::path& directory, const std::string& naming = {});

/// Writes the adapters a stage keeps (LoRA with merge = false) in PEFT's format. Throws Error(usage) for a stage without any and
/// when `directory` is not empty.
void export_adapter(const framework::Store& store, const framework::StageReader& stage, const std::filesystem::path& directory);

}  // namespace retain::recipes
