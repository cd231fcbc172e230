// SPDX-License-Identifier: Apache-2.0
#include "framework/store/tensor_source.h"

#include <algorithm>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

constexpr std::int64_t kPieceBytes = std::int64_t{16} << 20;

const TensorInfo& require(const TensorSource& source, const std::string& name) {
  if (const TensorInfo* tensor = source.find(name)) return *tensor;
  throw Error(ErrorKind::checkpoint_missing_tensor, "there is no tensor " + name);
}

}  // namespace

std::optional<Digest> TensorSource::digest(const std::string&) const {
  return std::nullopt;
}

const TensorInfo* TensorSource::find(const std::string& name) const {
  for (const TensorInfo& tensor : tensors())
    if (tensor.name == name) return &tensor;
  return nullptr;
}

void TensorSource::read_slice(const std::string& name, std::size_t dimension, std::int64_t begin, std::int64_t end,
                              std::span<std::byte> out) const {
  const TensorInfo& tensor = require(*this, name);
  const SliceRuns runs = slice_runs(tensor, dimension, begin, end, out.size());
  if (out.empty()) return;
  // Whole rows of `dimension` are read in pieces of a few blocks, so that a checked block is read once, not once a row.
  const std::int64_t element = size_of(tensor.dtype);
  const std::int64_t step = std::max<std::int64_t>(1, kPieceBytes / runs.pitch);
  std::vector<std::byte> piece;
  for (std::int64_t o = 0; o < runs.outer; o += step) {
    const std::int64_t rows = std::min(step, runs.outer - o);
    const auto target = out.subspan(static_cast<std::size_t>(o * runs.run), static_cast<std::size_t>(rows * runs.run));
    if (rows == 1) {
      read(name, (o * runs.pitch + runs.start) / element, target);
      continue;
    }
    piece.resize(static_cast<std::size_t>(rows * runs.pitch));
    read(name, o * runs.pitch / element, piece);
    for (std::int64_t r = 0; r < rows; ++r)
      std::copy_n(piece.begin() + static_cast<std::ptrdiff_t>(r * runs.pitch + runs.start), runs.run,
                  target.begin() + static_cast<std::ptrdiff_t>(r * runs.run));
  }
}

std::vector<std::byte> TensorSource::read_all(const std::string& name) const {
  std::vector<std::byte> bytes(require(*this, name).bytes());
  read(name, 0, bytes);
  return bytes;
}

SliceRuns slice_runs(const TensorInfo& tensor, std::size_t dimension, std::int64_t begin, std::int64_t end,
                     std::size_t bytes) {
  if (dimension >= tensor.shape.size() || begin < 0 || end < begin || end > tensor.shape[dimension])
    throw Error(ErrorKind::internal, "a slice outside tensor " + tensor.name + " " + to_string(tensor.shape));
  SliceRuns runs;
  for (std::size_t i = 0; i < dimension; ++i) runs.outer *= tensor.shape[i];
  std::int64_t inner = size_of(tensor.dtype);
  for (std::size_t i = dimension + 1; i < tensor.shape.size(); ++i) inner *= tensor.shape[i];
  runs.pitch = tensor.shape[dimension] * inner;
  runs.start = begin * inner;
  runs.run = (end - begin) * inner;
  if (static_cast<std::int64_t>(bytes) != runs.bytes())
    throw Error(ErrorKind::internal, "a slice of " + tensor.name + " has another size than its place");
  return runs;
}

void check_range(const TensorInfo& tensor, std::int64_t first, std::size_t bytes) {
  const auto element = static_cast<std::size_t>(size_of(tensor.dtype));
  const auto count = static_cast<std::int64_t>(bytes / element);
  if (bytes % element != 0 || first < 0 || count > elements_of(tensor.shape) - first)
    throw Error(ErrorKind::internal, "a read of " + std::to_string(bytes) + " bytes from element " +
                                         std::to_string(first) + " leaves tensor " + tensor.name + " " +
                                         to_string(tensor.shape));
}

}  // namespace retain::framework
