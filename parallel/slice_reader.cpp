// SPDX-License-Identifier: Apache-2.0
#include "parallel/slice_reader.h"

#include <algorithm>

#include "framework/base/error.h"
#include "parallel/shard_geometry.h"

namespace retain::parallel {

using framework::Error;
using framework::ErrorKind;

void read_slice(const framework::TensorSource& source, const ParameterSpec& spec, int tensor_rank,
                std::span<std::byte> out) {
  const framework::TensorInfo* tensor = source.find(spec.name);
  if (!tensor) throw Error(ErrorKind::checkpoint_missing_tensor, "there is no " + source.describe(spec.name));
  const ShardGeometry geometry(spec, tensor_rank);
  const std::int64_t element = framework::size_of(tensor->dtype);
  if (static_cast<std::int64_t>(out.size()) != geometry.elements() * element)
    throw Error(ErrorKind::internal, "a slice of " + spec.name + " has another size than its parameter");
  if (out.empty()) return;
  if (spec.cut_dimension > 0 && spec.cut_blocks == 1) {
    const Range& cut = spec.cuts.at(static_cast<std::size_t>(tensor_rank));
    source.read_slice(spec.name, static_cast<std::size_t>(spec.cut_dimension), cut.begin, cut.end, out);
    return;
  }
  // Whole, or rows that lie together: one run a block.
  geometry.for_each_run({0, spec.elements()}, [&](std::int64_t local, std::int64_t global, std::int64_t count) {
    source.read(spec.name, global,
                out.subspan(static_cast<std::size_t>(local * element), static_cast<std::size_t>(count * element)));
  });
}

}  // namespace retain::parallel
