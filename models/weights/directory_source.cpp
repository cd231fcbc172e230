// SPDX-License-Identifier: Apache-2.0
#include "models/weights/directory_source.h"

#include "framework/base/error.h"
#include "models/lmm/table.h"

namespace retain::models {

using framework::Error;
using framework::ErrorKind;

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
  for (const std::string& name : expected)
    if (const auto found = stored_.find(name); found != stored_.end()) {
      const StoredTensor* tensor = files_.find(found->second);
      tensors_.push_back({name, tensor->dtype, tensor->shape});
    }
}

const std::string& DirectorySource::stored(const std::string& name) const {
  const auto found = stored_.find(name);
  if (found == stored_.end()) throw Error(ErrorKind::checkpoint_missing_tensor, "there is no " + describe(name));
  return found->second;
}

void DirectorySource::read(const std::string& name, std::int64_t first, std::span<std::byte> out) const {
  const auto& [file, tensor] = files_.place(stored(name));
  framework::check_range({name, tensor->dtype, tensor->shape}, first, out.size());
  file->read(*tensor, first * framework::size_of(tensor->dtype), out);
  bytes_read_ += static_cast<std::int64_t>(out.size());
}

void DirectorySource::read_slice(const std::string& name, std::size_t dimension, std::int64_t begin, std::int64_t end,
                                 std::span<std::byte> out) const {
  const auto& [file, tensor] = files_.place(stored(name));
  const framework::SliceRuns runs =
      framework::slice_runs({name, tensor->dtype, tensor->shape}, dimension, begin, end, out.size());
  // Short runs one by one would keep the disk waiting: it fetches whole rows, of which the slice is copied.
  if (runs.outer > 1) file->expect(*tensor);
  for (std::int64_t i = 0; i < runs.outer; ++i)
    file->read(*tensor, i * runs.pitch + runs.start,
               out.subspan(static_cast<std::size_t>(i * runs.run), static_cast<std::size_t>(runs.run)));
  bytes_read_ += static_cast<std::int64_t>(out.size());
}

std::string DirectorySource::describe(const std::string& name) const {
  const auto found = stored_.find(name);
  if (found == stored_.end()) return "tensor " + naming_->stored(name) + " in " + directory_.string();
  return "tensor " + found->second + " in " + files_.file_of(found->second).string();
}

}  // namespace retain::models
