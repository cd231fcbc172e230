// SPDX-License-Identifier: Apache-2.0
// What a Curriculum teaches at one place of a branch; for its own files.
#pragma once
#include <cstddef>
#include <vector>

#include "recipes/records/loaded_records.h"
#include "recipes/study/curriculum.h"

namespace retain::recipes {

/// A task with its records read.
struct Curriculum::LoadedTask {
  Task task;
  LoadedRecords records;
};

/// A task as a branch teaches it.
struct Curriculum::Lesson {
  const PlannedBranch& branch;
  std::size_t place;                        ///< in the branch's order
  const Recipe& recipe;
  const LoadedTask& task;
  TrainSettings settings;
  std::vector<const LoadedTask*> replayed;  ///< earlier tasks of the order whose records come in again
};

}  // namespace retain::recipes
