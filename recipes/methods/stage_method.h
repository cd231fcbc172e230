// SPDX-License-Identifier: Apache-2.0
// The method whose parameters a stored stage carries, made again from what the stage recorded.
#pragma once
#include <memory>

#include "framework/store/stage_reader.h"
#include "framework/store/store.h"
#include "parallel/parameter.h"
#include "recipes/methods/registry.h"

namespace retain::recipes {

/// Null for a stage of the model's own parameters (the rows of `table`) alone. Otherwise the method that the stage, or the nearest of
/// those it comes from, recorded; stages that gc removed from between are passed over. Throws Error(store_unknown_stage) where that
/// leads to stages that are not in the store alone, naming them, Error(store_invalid) where no stage says anything, and
/// Error(config_unsupported) where this program has no such method.
std::shared_ptr<const Method> method_in(const framework::Store& store, const framework::StageReader& stage,
                                        const parallel::ParameterTable& table, const MethodRegistry& methods);

/// For the info of a stage made of these (a blend, a merge), whose inputs name no method: how the nearest taught stage was taught, so
/// that it is still known when gc has removed them. Empty where none names a method.
framework::json::object carried_teaching(const framework::Store& store, const std::vector<std::string>& stages);

/// What a stage records of the groups it trained, and back.
framework::json::array groups_json(const std::vector<TrainableGroup>& groups);
std::vector<TrainableGroup> groups_from_json(const framework::json::value& value);

}  // namespace retain::recipes
