// SPDX-License-Identifier: Apache-2.0
#include "recipes/study/base_import.h"

#include <algorithm>
#include <cstring>

#include "framework/store/commit.h"
#include "models/weights/model_writer.h"

namespace retain::recipes {

namespace json = framework::json;
namespace fs = std::filesystem;

json::object identity_of(const fs::path& directory) {
  std::vector<fs::directory_entry> entries;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory))
    if (entry.is_regular_file()) entries.push_back(entry);
  std::sort(entries.begin(), entries.end());
  json::array files;
  for (const fs::directory_entry& entry : entries)
    files.push_back(json::array{entry.path().filename().string(), entry.file_size(),
                                static_cast<std::int64_t>(entry.last_write_time().time_since_epoch().count())});
  return {{"directory", std::move(files)}};
}

std::string write_base(const framework::Store& store, const framework::StoreLock& lock, const fs::path& directory,
                       const framework::TensorSource& weights) {
  const models::SmallFiles files = models::read_small_files(directory);
  framework::StageDraft draft;
  draft.inputs = {{"step", "base"}};
  for (const framework::TensorInfo& tensor : weights.tensors())
    draft.arrays.push_back({std::string(framework::kTensorPrefix) + tensor.name, tensor.dtype, tensor.shape});
  for (const auto& [name, bytes] : files)
    draft.arrays.push_back({std::string(framework::kFilePrefix) + name,
                            framework::DType::uint8,
                            {static_cast<std::int64_t>(bytes.size())}});
  return framework::write_stage(store, lock, std::move(draft),
                                [&](const framework::ArraySpec& array, std::uint64_t begin, std::span<std::byte> out) {
                                  if (array.path.starts_with(framework::kFilePrefix)) {
                                    const std::string& bytes = files.at(array.path.substr(framework::kFilePrefix.size()));
                                    std::memcpy(out.data(), bytes.data() + begin, out.size());
                                    return;
                                  }
                                  weights.read(array.path.substr(framework::kTensorPrefix.size()),
                                               static_cast<std::int64_t>(begin) / framework::size_of(array.dtype), out);
                                });
}

}  // namespace retain::recipes
