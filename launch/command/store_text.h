// SPDX-License-Identifier: Apache-2.0
// How `retain store` writes stages for people.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/store/history.h"
#include "framework/store/store.h"

namespace retain::launch {

/// "3.1 MiB".
std::string size_text(std::uint64_t bytes);
/// The first ten digits: enough to name a stage here.
std::string short_id(const std::string& id);
/// The stage's own name ("sa_proj/digits") or its inputs in a few words ("blend, x 0.5").
std::string title_of(const framework::Manifest& manifest);
/// "main, tag paper" for the refs that name the stage; empty when none does.
std::string refs_text(const framework::Store& store, const std::string& id);
/// Facts of a stage, for --json.
framework::json::object stage_json(const framework::Store& store, const framework::StageSummary& summary);

}  // namespace retain::launch
