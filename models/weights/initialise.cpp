// SPDX-License-Identifier: Apache-2.0
#include "models/weights/initialise.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>
#include <vector>

#include "framework/base/json.h"
#include "framework/base/random.h"
#include "models/lmm/table.h"
#include "models/weights/name_map.h"
#include "models/weights/safetensors.h"

namespace retain::models {

namespace json = framework::json;
using framework::DType;
using parallel::ParameterSpec;

namespace {

constexpr std::int64_t kBlock = 65536;        // elements that share a random stream
constexpr std::int64_t kPiece = 64 * kBlock;  // elements in memory at a time

bool is_norm(std::string_view name) {
  return name.find("norm") != std::string_view::npos || name.find(".ln_q.") != std::string_view::npos;
}

bool ends_residual_branch(std::string_view name) {
  for (const char* layer : {".o_proj.", ".out_proj.", ".attn.proj.", ".down_proj.", ".fc2."})
    if (name.find(layer) != std::string_view::npos) return true;
  return false;
}

/// config.json with the dtype the weights really have, under the key the file uses.
std::string with_dtype(const std::string& config, DType dtype) {
  json::value document = framework::parse_json(config, "config.json");
  json::object& fields = document.as_object();
  fields[fields.contains("dtype") ? "dtype" : "torch_dtype"] = framework::name_of(dtype);
  return framework::pretty(document);
}

void write_tensor(const ParameterSpec& row, const std::string& stored, const LmmConfig& config,
                  const InitialWeights& settings, ModelWriter& writer, std::vector<float>& values) {
  for (std::int64_t first = 0; first < row.elements(); first += kPiece) {
    const std::int64_t count = std::min(kPiece, row.elements() - first);
    values.resize(static_cast<std::size_t>(count));
    initial_values(row, config, settings, first, values);
    const at::Tensor piece = at::from_blob(values.data(), {count}, at::kFloat).to(scalar_type_of(row.dtype));
    writer.write(stored, first, {static_cast<const std::byte*>(piece.const_data_ptr()), piece.nbytes()});
  }
}

}  // namespace

double initial_deviation(const ParameterSpec& row, const LmmConfig& config, const InitialWeights& settings) {
  const std::string_view name = row.name;
  if (is_norm(name) || name.ends_with(".bias")) return 0;
  if (settings.scale == InitialScale::constant) return settings.deviation;
  if (name.find("position_embedding") != name.npos) return settings.position_deviation;
  if (row.shape.size() < 2 || name.find("embed_tokens") != name.npos) return settings.embedding_deviation;
  std::int64_t inputs = 1;
  for (std::size_t i = 1; i < row.shape.size(); ++i) inputs *= row.shape[i];
  const double deviation = settings.gain / std::sqrt(static_cast<double>(inputs));
  const std::int64_t layers = name.starts_with("vision.") ? config.vision.layers : config.text.layers;
  return ends_residual_branch(name) ? deviation / std::sqrt(2.0 * static_cast<double>(layers)) : deviation;
}

float initial_constant(const ParameterSpec& row) {
  return is_norm(row.name) && row.name.ends_with(".weight") ? 1.0F : 0.0F;
}

void initial_values(const ParameterSpec& row, const LmmConfig& config, const InitialWeights& settings,
                    std::int64_t first, std::span<float> values) {
  const auto deviation = static_cast<float>(initial_deviation(row, config, settings));
  if (deviation == 0) {
    std::fill(values.begin(), values.end(), initial_constant(row));
    return;
  }
  const auto count = static_cast<std::int64_t>(values.size());
  at::parallel_for(0, (count + kBlock - 1) / kBlock, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t at = block * kBlock;
      const std::span<float> part =
          values.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(std::min(kBlock, count - at)));
      framework::Random(settings.seed, "init/" + row.name + "/" + std::to_string(first / kBlock + block))
          .fill_normal(part);
      for (float& value : part) value *= deviation;
    }
  });
}

void write_initial_model(const LmmConfig& config, DType dtype, SmallFiles files, const std::filesystem::path& directory,
                         const InitialWeights& settings) {
  const parallel::ParameterTable table = build_table(config, 1, partition_for(config, 1), dtype);
  const Naming& names = naming(config, config.naming);
  std::vector<framework::TensorInfo> tensors;
  for (const ParameterSpec& row : table.rows()) tensors.push_back({names.stored(row.name), dtype, row.shape});
  files["config.json"] = with_dtype(files.at("config.json"), dtype);
  ModelWriter writer(directory, tensors, settings.shard_bytes);
  std::vector<float> values;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    write_tensor(table.rows()[i], tensors[i].name, config, settings, writer, values);
  writer.finish(files);
}

}  // namespace retain::models
