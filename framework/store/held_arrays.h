// SPDX-License-Identifier: Apache-2.0
// Arrays that the store holds already, so that a commit of equal ones can link to them instead of writing them again.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/store/stage_file.h"
#include "framework/store/store.h"

namespace retain::framework {

/// The arrays held by the stages near the refs: at most kMostStages of them, the refs' own first, then their parents,
/// generation by generation. Damaged stages and refs are passed over.
class HeldArrays {
 public:
  static constexpr std::size_t kMostStages = 256;

  explicit HeldArrays(const Store& store);

  /// Whether a stage holds an array of this path, dtype and shape that begins with this block. Cheap: reads no array.
  bool may_hold(const ArraySpec& spec, const Digest& first_block) const;

  /// The id of a stage that holds exactly this array, every block of it read and found intact; empty when there is
  /// none. Stages with these parents and inputs are left out: one of them may be the stage that is being made.
  std::string holder_of(const ArraySpec& spec, const Digest& digest, const std::vector<std::string>& parents,
                        const json::object& inputs) const;

 private:
  struct Place {
    const StageFile* file;
    const ArrayEntry* array;
  };
  std::vector<std::shared_ptr<const StageFile>> files_;
  std::multimap<std::string, Place, std::less<>> places_;  ///< by path
};

}  // namespace retain::framework
