// SPDX-License-Identifier: Apache-2.0
// What a stage file says about itself: its parents, its inputs, every array with digest and place. The same form serves
// mid-stage checkpoints.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/dtype.h"
#include "framework/base/json.h"
#include "framework/store/digest.h"

namespace retain::framework {

/// Bytes of the row-major array that one digest covers (the last block of an array may be shorter).
inline constexpr std::uint64_t kBlockBytes = std::uint64_t{4} << 20;

/// An HDF5 dataset: "tensors/<canonical name>", "files/<file name>", "optimizer/<state>/<name>".
struct ArraySpec {
  std::string path;
  DType dtype = DType::float32;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes() const { return static_cast<std::uint64_t>(elements_of(shape) * size_of(dtype)); }
  std::uint64_t blocks() const { return (bytes() + kBlockBytes - 1) / kBlockBytes; }
  bool operator==(const ArraySpec&) const = default;
};

/// Prefix of model tensors and of small attached files (configuration, tokenizer) in ArraySpec::path.
inline constexpr std::string_view kTensorPrefix = "tensors/";
inline constexpr std::string_view kFilePrefix = "files/";

/// An array of a stage: here, with its place and block digests, or in the ancestor `holder`.
struct ArrayEntry {
  ArraySpec spec;
  Digest digest;               ///< digest_of(block digests)
  std::string holder;          ///< id of the stage file that physically holds it; empty: this file
  std::uint64_t offset = 0;    ///< byte offset of the row-major bytes in this file (no meaning when held elsewhere)
  std::vector<Digest> blocks;  ///< one a block of kBlockBytes (empty when held elsewhere)
  bool here() const { return holder.empty(); }
};

/// Everything but the numbers.
struct Manifest {
  std::string kind;                  ///< "stage" or "progress"
  std::vector<std::string> parents;  ///< stage ids; the first is the one trained from
  json::object inputs;               ///< what made it (recipe, data digests, seeds …): part of the id
  json::object info;                 ///< what was observed (times, loss curve, mesh, versions): not part of the id
  std::vector<ArrayEntry> arrays;    ///< in the order of the parameter table

  const ArrayEntry* find(std::string_view path) const;
};

/// Content digest over kind, parents, inputs (keys sorted) and every array's path, dtype, shape and digest. No time,
/// place or layout enters it, so a resumed run arrives at the id of an undisturbed one.
std::string id_of(const Manifest& manifest);

/// JSON text, and back. `file_bytes` bounds every offset. Throws Error(store_invalid) naming `origin` and the field for
/// anything malformed: unknown dtype, negative or overflowing shape, a path or holder that could leave the store,
/// extents outside the file or overlapping, a wrong number of block digests, a digest that does not follow from them.
std::string to_text(const Manifest& manifest);
Manifest manifest_from_text(std::string_view text, const std::string& origin, std::uint64_t file_bytes);

/// Letters, digits and "._-" in segments separated by "/", none empty, "." or "..", at most 400 bytes, at most 8
/// segments.
bool is_array_path(std::string_view path);

/// The same JSON with every object's keys sorted, so that equal content has equal text.
json::value sorted(const json::value& value);

}  // namespace retain::framework
