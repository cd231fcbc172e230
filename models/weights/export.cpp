// SPDX-License-Identifier: Apache-2.0
#include "models/weights/export.h"

#include <algorithm>
#include <vector>

#include "framework/base/error.h"
#include "models/lmm/family.h"
#include "models/weights/name_map.h"

namespace retain::models {

using framework::Error;
using framework::ErrorKind;
using framework::TensorInfo;

namespace {

constexpr std::int64_t kPieceBytes = std::int64_t{64} << 20;

void copy_tensor(const framework::TensorSource& source, const TensorInfo& tensor, const std::string& stored,
                 ModelWriter& writer, std::vector<std::byte>& piece) {
  const std::int64_t element = framework::size_of(tensor.dtype);
  const std::int64_t count = framework::elements_of(tensor.shape);
  const std::int64_t step = kPieceBytes / element;
  for (std::int64_t first = 0; first < count; first += step) {
    piece.resize(static_cast<std::size_t>(std::min(step, count - first) * element));
    source.read(tensor.name, first, piece);
    writer.write(stored, first, piece);
  }
}

/// The files of an original checkpoint, with the hub's configuration for its own and without the tower's folder.
SmallFiles as_hub_files(const LmmConfig& config, const SmallFiles& files) {
  SmallFiles kept = family_of(config).hub_files(config);
  for (const auto& [name, bytes] : files)
    if (name.find('/') == std::string::npos) kept.emplace(name, bytes);
  return kept;
}

}  // namespace

void export_model(const framework::TensorSource& source, const LmmConfig& config, const SmallFiles& files,
                  const std::filesystem::path& directory, const ExportOptions& options) {
  const Naming& names = naming(config, options.naming.empty() ? config.naming : options.naming);
  const bool from_original = config.naming == "orig", to_original = names.name == "orig";
  if (to_original && !from_original)
    throw Error(ErrorKind::usage,
                {"these tensor names do not go with the model's config.json", "hub, hf, v4_52 or memory",
                 std::string(names.name), "export in a transformers naming"});
  std::vector<TensorInfo> tensors = source.tensors();
  for (TensorInfo& tensor : tensors) tensor.name = names.stored(tensor.name);
  ModelWriter writer(directory, tensors, options.shard_bytes);
  std::vector<std::byte> piece;
  for (std::size_t i = 0; i < tensors.size(); ++i)
    copy_tensor(source, source.tensors()[i], tensors[i].name, writer, piece);
  writer.finish(from_original && !to_original ? as_hub_files(config, files) : files);
}

}  // namespace retain::models
