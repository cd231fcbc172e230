// SPDX-License-Identifier: Apache-2.0
// What can be read tensor by tensor: a stage, a blend that is never written, a weight directory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "framework/base/dtype.h"
#include "framework/store/digest.h"

namespace retain::framework {

/// A tensor's description. `name` is canonical ("language.layers.3.mlp.up_proj.weight").
struct TensorInfo {
  std::string name;
  DType dtype = DType::float32;
  std::vector<std::int64_t> shape;
  std::uint64_t bytes() const { return static_cast<std::uint64_t>(elements_of(shape) * size_of(dtype)); }
  bool operator==(const TensorInfo&) const = default;
};

/// Read-only access to a whole model, thread-safe.
class TensorSource {
 public:
  virtual ~TensorSource() = default;

  /// All tensors in the order of the parameter table that wrote them.
  virtual const std::vector<TensorInfo>& tensors() const = 0;

  /// Elements [first, first + out.size() / size_of(dtype)) of the row-major tensor, as its dtype's little-endian bytes.
  /// out.size() is a multiple of the element size. Throws Error(checkpoint_missing_tensor) for an unknown name,
  /// Error(internal) for a range outside the tensor, Error(store_digest) or Error(store_invalid) for damaged bytes.
  virtual void read(const std::string& name, std::int64_t first, std::span<std::byte> out) const = 0;

  /// Digest of a tensor's bytes where the source knows it without reading them (see framework/store/manifest.h).
  virtual std::optional<Digest> digest(const std::string& name) const;

  /// Null when there is no such tensor.
  const TensorInfo* find(const std::string& name) const;

  /// A slice along one dimension: every index of the other dimensions, [begin, end) of `dimension`; row-major. `out` is
  /// as long as the slice.
  virtual void read_slice(const std::string& name, std::size_t dimension, std::int64_t begin, std::int64_t end,
                          std::span<std::byte> out) const;
  std::vector<std::byte> read_all(const std::string& name) const;

  /// Bytes of tensors read so far, in the files; 0 where the source does not count them.
  virtual std::int64_t bytes_read() const { return 0; }

  /// A tensor as messages name it: by the name and file the user knows.
  virtual std::string describe(const std::string& name) const { return "tensor " + name; }
  /// Tensors that are there, that no name of the table fits, and that may not be passed over, as messages name them.
  virtual std::vector<std::string> surplus() const { return {}; }
};

/// A tensor's slice along a dimension: `outer` runs of `run` bytes, the first at byte `start`, `pitch` bytes apart.
struct SliceRuns {
  std::int64_t outer = 1;
  std::int64_t pitch = 0;
  std::int64_t start = 0;
  std::int64_t run = 0;
  std::int64_t bytes() const { return outer * run; }
};
/// [begin, end) of `dimension`. Throws Error(internal) where they lie outside the tensor, or are not `bytes` long.
SliceRuns slice_runs(const TensorInfo& tensor, std::size_t dimension, std::int64_t begin, std::int64_t end,
                     std::size_t bytes);

/// Throws Error(internal) unless [first, first + bytes / element) lies in the tensor and bytes is a whole number of
/// elements.
void check_range(const TensorInfo& tensor, std::int64_t first, std::size_t bytes);

}  // namespace retain::framework
