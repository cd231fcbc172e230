// SPDX-License-Identifier: Apache-2.0
// What can be reached from where, and what it costs.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "framework/store/pruned.h"
#include "framework/store/stage_file.h"
#include "framework/store/store.h"

namespace retain::framework {

/// A stage's facts without its numbers.
struct StageSummary {
  std::string id;
  Manifest manifest;
  std::uint64_t file_bytes = 0;    ///< what it costs on disk
  std::uint64_t own_bytes = 0;     ///< of the arrays it holds itself
  std::uint64_t shared_bytes = 0;  ///< of the arrays it has through other stages' files
  std::size_t own_tensors = 0;
  std::size_t tensors = 0;
  struct Share {
    std::size_t tensors = 0;
    std::uint64_t bytes = 0;
  };
  std::map<std::string, Share> shares;  ///< what it has through another stage's file, by that stage's id
};

/// Errors as open_stage_file (stage_reader.h).
StageSummary summary_of(const Store& store, const std::string& id);

/// A stage's parents by its file, or by what gc noted when it removed the file (pruned.h); nullopt: there is neither.
std::optional<std::vector<std::string>> parents_of(const Store& store, const ParentsOfStages& pruned, const std::string& id);

/// A stage and everything before it, children before parents, the first parent's line first, also what gc removed. A line ends
/// at the base, or at a stage without file and note. Errors as open_stage_file for `id` itself.
std::vector<std::string> lineage(const Store& store, const std::string& id);

/// All stages from which one of these comes, and these; those that are neither in the store nor noted are left out.
std::vector<std::string> lineage(const Store& store, const std::set<std::string>& stages);

/// Of a stage's lineage those that are in the store.
std::vector<std::string> ancestry(const Store& store, const std::string& id);

/// A stage's line of first parents, newest first, as lineage() gives it.
std::vector<std::string> first_parents(const Store& store, const std::string& id);

/// Ids of the other stage files that hold arrays of a stage.
std::set<std::string> holders_of(const Store& store, const std::string& id);

/// Ids of the other stages that have arrays through this one's file: it cannot go before them. Reads every manifest.
std::set<std::string> dependents_of(const Store& store, const std::string& id);

/// These stages and the files that hold their arrays, and those that hold arrays of such a file, which must verify as well.
std::set<std::string> with_holders(const Store& store, const std::set<std::string>& stages);

/// All stages that any ref or mid-stage checkpoint needs: them, their ancestors, and the files that hold their arrays.
/// With `undo`, also those the log of refs remembers. Throws when a needed file cannot be read.
std::set<std::string> reachable(const Store& store, bool undo);

}  // namespace retain::framework
