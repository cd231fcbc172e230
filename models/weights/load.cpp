// SPDX-License-Identifier: Apache-2.0
#include "models/weights/load.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "framework/base/error.h"
#include "models/weights/directory_source.h"
#include "models/weights/safetensors.h"
#include "parallel/shard_geometry.h"
#include "parallel/slice_reader.h"

namespace retain::models {

using framework::DType;
using framework::Error;
using framework::ErrorKind;
using parallel::ParameterSpec;

namespace {

/// "a, b, c and 12 more".
std::string listing(const std::vector<std::string>& names) {
  constexpr std::size_t most = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), most); ++i) text += (i ? ", " : "") + names[i];
  if (names.size() > most) text += " and " + std::to_string(names.size() - most) + " more";
  return text;
}

void check_tensor(const framework::TensorSource& source, const ParameterSpec& row, const framework::TensorInfo& info) {
  if (info.shape != row.shape)
    throw Error(
        ErrorKind::checkpoint_shape_mismatch,
        {source.describe(row.name) + " has the wrong shape", framework::to_string(row.shape) + ", as config.json says",
         framework::to_string(info.shape), "use the weights that belong to this config.json"});
  switch (info.dtype) {
    case DType::float32:
    case DType::bfloat16:
    case DType::float16:
    case DType::float64:
      return;
    default:
      throw Error(ErrorKind::config_unsupported,
                  {source.describe(row.name) + " holds no floating-point numbers", "float32, bfloat16 or float16",
                   std::string(framework::name_of(info.dtype)), "use weights that are not quantised"});
  }
}

/// Index of the first value whose exponent bits are all set. Blocks without one are passed at memory speed.
template <typename Bits>
std::int64_t first_with(const Bits* values, std::int64_t count, Bits exponent) {
  constexpr std::int64_t block = 4096;
  for (std::int64_t begin = 0; begin < count; begin += block) {
    const std::int64_t end = std::min(count, begin + block);
    int bad = 0;
    for (std::int64_t i = begin; i < end; ++i) bad |= (values[i] & exponent) == exponent;
    if (!bad) continue;
    for (std::int64_t i = begin; i < end; ++i)
      if ((values[i] & exponent) == exponent) return i;
  }
  return -1;
}

constexpr int kReaders = 4;  // threads that read: some copy while others wait for the disk
constexpr std::int64_t kPieceBytes = std::int64_t{32} << 20;  // of what is converted on the way

/// `values` are those of the slice from `first` on; of the whole tensor where `tensor_rank` is empty.
void refuse_non_finite(const framework::TensorSource& source, const ParameterSpec& row, const at::Tensor& values,
                       std::optional<int> tensor_rank, std::int64_t first = 0) {
  const std::int64_t found = first_non_finite(values);
  if (found < 0) return;
  const std::int64_t local = first + found;
  const std::int64_t global = tensor_rank ? parallel::ShardGeometry(row, *tensor_rank).global_of(local) : local;
  const double value = values.flatten()[found].item<double>();
  throw Error(
      ErrorKind::checkpoint_non_finite,
      {source.describe(row.name) + " holds " + (std::isnan(value) ? "NaN" : "an infinite value"), "finite weights",
       "flat index " + std::to_string(global) + " of shape " +
           framework::to_string(row.shape),
       "download the weights again, or go back to the last good checkpoint"});
}

std::span<std::byte> bytes_of(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.data_ptr()), tensor.nbytes()};
}

/// Fills `share`, of another dtype than the stored one, through a buffer of a piece (of a layer's matrix where rows are
/// cut).
void read_converted(const framework::TensorSource& source, const ParameterSpec& row, int tensor_rank,
                    const at::TensorOptions& stored, bool finite, const at::Tensor& share) {
  const at::Tensor flat = share.flatten();
  const auto take = [&](const at::Tensor& piece, std::int64_t first) {
    if (finite) refuse_non_finite(source, row, piece, tensor_rank, first);
    flat.narrow(0, first, piece.numel()).copy_(piece);
  };
  if (row.cut_dimension > 0) {
    const at::Tensor piece = at::empty({flat.numel()}, stored);
    parallel::read_slice(source, row, tensor_rank, bytes_of(piece));
    return take(piece, 0);
  }
  const std::int64_t step = kPieceBytes / static_cast<std::int64_t>(stored.dtype().itemsize());
  parallel::ShardGeometry(row, tensor_rank)
      .for_each_run({0, row.elements()}, [&](std::int64_t local, std::int64_t global, std::int64_t count) {
        for (std::int64_t done = 0; done < count; done += step) {
          const at::Tensor piece = at::empty({std::min(step, count - done)}, stored);
          source.read(row.name, global + done, bytes_of(piece));
          take(piece, local + done);
        }
      });
}

/// A rank's slice of a parameter, in the row's dtype.
at::Tensor read_share(const framework::TensorSource& source, const ParameterSpec& row, int tensor_rank, bool finite) {
  const at::TensorOptions stored = at::TensorOptions().dtype(scalar_type_of(source.find(row.name)->dtype));
  const at::Tensor share =
      at::empty(row.local_shape(tensor_rank), at::TensorOptions().dtype(scalar_type_of(row.dtype)));
  if (stored.dtype() != share.dtype()) {
    read_converted(source, row, tensor_rank, stored, finite, share);
    return share;
  }
  parallel::read_slice(source, row, tensor_rank, bytes_of(share));
  if (finite) refuse_non_finite(source, row, share, tensor_rank);
  return share;
}

/// Calls `work` for 0 … count − 1 on a few threads. Of several failures the one of the lowest index is thrown, after
/// all threads have ended.
void for_each_at_once(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> next{0};
  std::atomic<bool> failed{false};
  std::vector<std::exception_ptr> failures(count);
  const auto take_turns = [&] {
    for (std::size_t i = next++; i < count && !failed; i = next++) try {
        work(i);
      } catch (...) {
        failures[i] = std::current_exception();
        failed = true;
      }
  };
  std::vector<std::jthread> readers;
  for (int i = 1; i < kReaders; ++i) readers.emplace_back(take_turns);
  take_turns();
  readers.clear();
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

}  // namespace

std::int64_t first_non_finite(const at::Tensor& tensor) {
  const void* data = tensor.const_data_ptr();
  switch (tensor.scalar_type()) {
    case at::kFloat:
      return first_with<std::uint32_t>(static_cast<const std::uint32_t*>(data), tensor.numel(), 0x7f800000U);
    case at::kBFloat16:
      return first_with<std::uint16_t>(static_cast<const std::uint16_t*>(data), tensor.numel(), 0x7f80U);
    case at::kHalf:
      return first_with<std::uint16_t>(static_cast<const std::uint16_t*>(data), tensor.numel(), 0x7c00U);
    case at::kDouble:
      return first_with<std::uint64_t>(static_cast<const std::uint64_t*>(data), tensor.numel(), 0x7ff0000000000000ULL);
    default:
      return -1;
  }
}

at::Tensor read_tensor(const framework::TensorSource& source, const std::string& name) {
  const framework::TensorInfo* info = source.find(name);
  if (!info) throw Error(ErrorKind::checkpoint_missing_tensor, "there is no " + source.describe(name));
  at::Tensor whole = at::empty(info->shape, at::TensorOptions().dtype(scalar_type_of(info->dtype)));
  if (whole.numel() > 0) source.read(name, 0, {static_cast<std::byte*>(whole.data_ptr()), whole.nbytes()});
  return whole;
}

void check_source(const framework::TensorSource& source, const parallel::ParameterTable& table) {
  std::vector<std::string> missing;
  for (const ParameterSpec& row : table.rows())
    if (!source.find(row.name)) missing.push_back(source.describe(row.name));
  if (!missing.empty())
    throw Error(
        ErrorKind::checkpoint_missing_tensor,
        {"weights are missing: " + listing(missing),
         std::to_string(table.rows().size()) + " tensors, as config.json says",
         std::to_string(missing.size()) + " of them missing", "use the weights that belong to this config.json"});
  const std::vector<std::string> surplus = source.surplus();
  if (!surplus.empty())
    throw Error(ErrorKind::checkpoint_surplus_tensor,
                {"the model has no place for " + listing(surplus), "only the tensors that config.json calls for",
                 std::to_string(surplus.size()) + " more", "use the weights that belong to this config.json"});
  for (const ParameterSpec& row : table.rows()) check_tensor(source, row, *source.find(row.name));
}

void check_finite(const framework::TensorSource& source, const parallel::ParameterTable& table, int parts, int part) {
  for (std::size_t i = static_cast<std::size_t>(part); i < table.rows().size(); i += static_cast<std::size_t>(parts)) {
    const ParameterSpec& row = table.rows()[i];
    refuse_non_finite(source, row, read_tensor(source, row.name), std::nullopt);
  }
}

parallel::ParameterSet load_parameters(const framework::TensorSource& source, const parallel::ParameterTable& table,
                                       int tensor_rank, int pipeline_stage, const LoadOptions& options) {
  check_source(source, table);
  std::vector<parallel::Parameter> parameters;
  for (const ParameterSpec& row : table.rows())
    if (row.held_by(pipeline_stage)) parameters.push_back({row, {}});
  for_each_at_once(parameters.size(), [&](std::size_t i) {
    parameters[i].value = read_share(source, parameters[i].spec, tensor_rank, options.check_finite);
  });
  return parallel::ParameterSet(std::move(parameters));
}

parallel::ParameterSet load_parameters(const std::filesystem::path& directory, const LmmConfig& config,
                                       const parallel::ParameterTable& table, int tensor_rank, int pipeline_stage,
                                       const LoadOptions& options) {
  return load_parameters(DirectorySource(directory, config), table, tensor_rank, pipeline_stage, options);
}

}  // namespace retain::models
