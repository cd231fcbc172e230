// SPDX-License-Identifier: Apache-2.0
#include "framework/store/held_arrays.h"

#include <algorithm>
#include <deque>
#include <set>

#include "framework/store/pruned.h"
#include "framework/store/refs.h"
#include "framework/store/stage_reader.h"

namespace retain::framework {
namespace {

bool is_intact(const StageFile& file, const ArrayEntry& array) {
  try {
    for (std::uint64_t block = 0; block < array.spec.blocks(); ++block) file.check_block(array, block);
    return true;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

HeldArrays::HeldArrays(const Store& store) {
  std::deque<std::string> next;
  std::vector<std::string> damaged;  // what such a ref leads to is written once more: no harm
  for (const Ref& ref : refs_of(store, &damaged)) next.push_back(ref.stage);
  const ParentsOfStages pruned = pruned_stages(store);
  std::set<std::string> seen;
  for (; !next.empty() && files_.size() < kMostStages; next.pop_front()) {
    if (!seen.insert(next.front()).second) continue;
    try {
      files_.push_back(open_stage_file(store, next.front()));
    } catch (const Error&) {
      if (const auto noted = pruned.find(next.front()); noted != pruned.end())
        next.insert(next.end(), noted->second.begin(), noted->second.end());
      continue;
    }
    const StageFile& file = *files_.back();
    next.insert(next.end(), file.manifest().parents.begin(), file.manifest().parents.end());
    for (const ArrayEntry& array : file.manifest().arrays)
      if (array.here() && !array.blocks.empty()) places_.emplace(array.spec.path, Place{&file, &array});
  }
}

bool HeldArrays::may_hold(const ArraySpec& spec, const Digest& first_block) const {
  const auto [begin, end] = places_.equal_range(spec.path);
  return std::any_of(begin, end, [&](const auto& entry) {
    return entry.second.array->spec == spec && entry.second.array->blocks.front() == first_block;
  });
}

std::string HeldArrays::holder_of(const ArraySpec& spec, const Digest& digest, const std::vector<std::string>& parents,
                                  const json::object& inputs) const {
  const auto [begin, end] = places_.equal_range(spec.path);
  for (auto entry = begin; entry != end; ++entry) {
    const auto& [file, array] = entry->second;
    if (array->spec != spec || array->digest != digest) continue;
    const Manifest& manifest = file->manifest();
    if (manifest.parents == parents && sorted(manifest.inputs) == sorted(inputs)) continue;
    if (is_intact(*file, *array)) return file->id();
  }
  return {};
}

}  // namespace retain::framework
