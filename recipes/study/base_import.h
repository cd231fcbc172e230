// SPDX-License-Identifier: Apache-2.0
// The base model as the first stage of a store, so that a store is self-contained.
#pragma once
#include <filesystem>
#include <string>

#include "framework/base/json.h"
#include "framework/store/store.h"
#include "framework/store/store_lock.h"
#include "framework/store/tensor_source.h"

namespace retain::recipes {

/// What a model directory is, as far as names, sizes and times of its files tell: the key under which its import is memoised.
framework::json::object identity_of(const std::filesystem::path& directory);

/// Writes every tensor of `weights` bit for bit, and the directory's small files (configuration, tokenizer, processor).
/// Returns the stage's id. Throws the store's errors and what reading throws.
std::string write_base(const framework::Store& store, const framework::StoreLock& lock, const std::filesystem::path& directory,
                       const framework::TensorSource& weights);

}  // namespace retain::recipes
