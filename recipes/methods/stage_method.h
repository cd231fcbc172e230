// SPDX-License-Identifier: Apache-2.0
// The method whose parameters a stored stage carries, made again from what the stage recorded.
#pragma once
#include <memory>

#include "framework/store/stage_reader.h"
#include "framework/store/store.h"
#include "parallel/parameter.h"
#include "recipes/methods/registry.h"

namespace retain::recipes {

/// Null for a stage of the model's own parameters (the rows of `table`) alone. Otherwise the method that the stage, or the
/// nearest first parent that was taught, recorded among its inputs. Throws Error(store_invalid) where none did, and
/// Error(config_unsupported) where this program has no such method.
std::shared_ptr<const Method> method_in(const framework::Store& store, const framework::StageReader& stage,
                                        const parallel::ParameterTable& table, const MethodRegistry& methods);

/// What a stage records of the groups it trained, and back.
framework::json::array groups_json(const std::vector<TrainableGroup>& groups);
std::vector<TrainableGroup> groups_from_json(const framework::json::value& value);

}  // namespace retain::recipes
