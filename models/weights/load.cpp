// SPDX-License-Identifier: Apache-2.0
#include "models/weights/load.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <optional>
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

/// `slice` is the whole tensor where `tensor_rank` is empty.
void refuse_non_finite(const framework::TensorSource& source, const ParameterSpec& row, const at::Tensor& slice,
                       std::optional<int> tensor_rank) {
  const std::int64_t local = first_non_finite(slice);
  if (local < 0) return;
  const std::int64_t global = tensor_rank ? parallel::ShardGeometry(row, *tensor_rank).global_of(local) : local;
  const double value = slice.flatten()[local].item<double>();
  throw Error(
      ErrorKind::checkpoint_non_finite,
      {source.describe(row.name) + " holds " + (std::isnan(value) ? "NaN" : "an infinite value"), "finite weights",
       "flat index " + std::to_string(global) + " of shape " +
           framework::to_string(row.shape),
       "download the weights again, or go back to the last good checkpoint"});
}

/// A rank's slice of a parameter, in the stored dtype.
at::Tensor read_share(const framework::TensorSource& source, const ParameterSpec& row, int tensor_rank) {
  const at::TensorOptions stored = at::TensorOptions().dtype(scalar_type_of(source.find(row.name)->dtype));
  at::Tensor slice = at::empty(row.local_shape(tensor_rank), stored);
  parallel::read_slice(source, row, tensor_rank, {static_cast<std::byte*>(slice.data_ptr()), slice.nbytes()});
  return slice;
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
  for (const ParameterSpec& row : table.rows()) {
    if (!row.held_by(pipeline_stage)) continue;
    const at::Tensor slice = read_share(source, row, tensor_rank);
    if (options.check_finite) refuse_non_finite(source, row, slice, tensor_rank);
    parameters.push_back({row, slice.to(scalar_type_of(row.dtype))});
  }
  return parallel::ParameterSet(std::move(parameters));
}

parallel::ParameterSet load_parameters(const std::filesystem::path& directory, const LmmConfig& config,
                                       const parallel::ParameterTable& table, int tensor_rank, int pipeline_stage,
                                       const LoadOptions& options) {
  return load_parameters(DirectorySource(directory, config), table, tensor_rank, pipeline_stage, options);
}

}  // namespace retain::models
