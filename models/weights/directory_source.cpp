// SPDX-License-Identifier: Apache-2.0
#include "models/weights/directory_source.h"

#include "framework/base/error.h"
#include "models/lmm/table.h"

namespace retain::models {

DirectorySource::DirectorySource(const std::filesystem::path& directory, const LmmConfig& config)
    : directory_(directory), files_(directory) {
  std::vector<std::string> expected;
  const parallel::ParameterTable table = build_table(config, 1, partition_for(config, 1), config.stored_dtype);
  for (const parallel::ParameterSpec& row : table.rows()) expected.push_back(row.name);
  const std::vector<std::string> stored = files_.names();
  naming_ = &detect_naming(config, stored, expected);
  for (const std::string& name : stored) {
    if (is_ignorable(config, *naming_, name)) continue;
    const std::optional<std::string> canonical = naming_->canonical(name);
    if (canonical && table.find(*canonical))
      stored_.emplace(*canonical, name);
    else
      surplus_.push_back(name);
  }
}

std::vector<std::string> DirectorySource::names() const {
  std::vector<std::string> names;
  for (const auto& [canonical, stored] : stored_) names.push_back(canonical);
  return names;
}

std::optional<TensorInfo> DirectorySource::find(const std::string& name) const {
  const auto found = stored_.find(name);
  if (found == stored_.end()) return std::nullopt;
  const StoredTensor* tensor = files_.find(found->second);
  return TensorInfo{tensor->dtype, tensor->shape};
}

at::Tensor DirectorySource::read(const std::string& name, int dimension, parallel::Range range) const {
  const auto found = stored_.find(name);
  if (found == stored_.end())
    throw framework::Error(framework::ErrorKind::checkpoint_missing_tensor, "there is no " + describe(name));
  return files_.read(found->second, dimension, range);
}

std::string DirectorySource::describe(const std::string& name) const {
  const auto found = stored_.find(name);
  if (found == stored_.end()) return "tensor " + naming_->stored(name) + " in " + directory_.string();
  return "tensor " + found->second + " in " + files_.file_of(found->second).string();
}

}  // namespace retain::models
