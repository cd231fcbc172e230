// SPDX-License-Identifier: Apache-2.0
// Which stage a memoised step made: the "stage" of its result (results.h). gc leaves these results alone; where it removed a stage
// from between others, the result still says that the step was done.
#pragma once
#include <optional>
#include <string>

#include "framework/store/store_lock.h"

namespace retain::framework {

struct MadeStage {
  std::string id;
  bool here = true;  ///< false: gc removed its file from between stages that stay (pruned.h)
};

/// What the step of that key made when it was done first; nullopt where there is no such result, or nobody knows of its stage any
/// more. Errors as get_result.
std::optional<MadeStage> made_stage(const Store& store, const std::string& key);

/// The same as far as it is in the store, or what the step made when it was done again. Errors as get_result.
std::optional<std::string> kept_stage(const Store& store, const std::string& key);

/// Notes what the step made. What it made first and gc removed stays noted, since what follows was made from it: done again on
/// another mesh the step gives another stage, by rounding. Throws Error(store_invalid) where another stage is noted and there.
void put_made_stage(const Store& store, const StoreLock& lock, const std::string& key, const std::string& stage);

}  // namespace retain::framework
