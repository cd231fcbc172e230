// SPDX-License-Identifier: Apache-2.0
#include "framework/store/stage_reader.h"

#include <utility>

namespace retain::framework {
namespace {

/// The entry in the holder's file that a link means.
const ArrayEntry& linked_entry(const StageFile& holder, const ArrayEntry& link, const std::string& origin) {
  const ArrayEntry* found = holder.find(link.spec.path);
  if (found && found->here() && found->spec == link.spec && found->digest == link.digest) return *found;
  throw Error(ErrorKind::store_invalid,
              {origin + " links " + link.spec.path + " to " + holder.path().string() + ", which does not hold it",
               "dtype, shape and digest " + to_hex(link.digest),
               found ? "digest " + to_hex(found->digest) : "no such array", "restore the file from a copy"});
}

}  // namespace

std::shared_ptr<const StageFile> open_stage_file(const Store& store, const std::string& id) {
  if (!store.has_stage(id))
    throw Error(ErrorKind::store_unknown_stage, {store.root().string() + " has no stage " + id,
                                                 "the file " + store.stage_path(id).string(),
                                                 {},
                                                 "copy the missing file back, or roll back to a complete stage"});
  auto file = std::make_shared<const StageFile>(store.operations(), store.stage_path(id));
  if (file->id() != id || file->manifest().kind != "stage")
    throw Error(ErrorKind::store_invalid, {file->path().string() + " does not hold the stage its name says", id,
                                           file->manifest().kind + " " + file->id(), "restore the file from a copy"});
  return file;
}

StageReader::StageReader(const Store& store, const std::string& id) : id_(id), own_(open_stage_file(store, id)) {
  for (const ArrayEntry& array : own_->manifest().arrays) {
    if (!array.here()) {
      auto& holder = holders_[array.holder];
      if (!holder) holder = open_stage_file(store, array.holder);
      linked_entry(*holder, array, own_->path().string());
    }
    if (array.spec.path.starts_with(kTensorPrefix))
      tensors_.push_back({array.spec.path.substr(kTensorPrefix.size()), array.spec.dtype, array.spec.shape});
  }
}

StageReader::Place StageReader::place(const std::string& path) const {
  const ArrayEntry* array = own_->find(path);
  if (!array) throw Error(ErrorKind::checkpoint_missing_tensor, "stage " + id_ + " has no " + path);
  if (array->here()) return {own_.get(), array};
  const StageFile& holder = *holders_.at(array->holder);
  return {&holder, holder.find(path)};
}

void StageReader::read(const std::string& name, std::int64_t first, std::span<std::byte> out) const {
  const auto [file, array] = place(std::string(kTensorPrefix) + name);
  check_range({name, array->spec.dtype, array->spec.shape}, first, out.size());
  file->read(*array, static_cast<std::uint64_t>(first * size_of(array->spec.dtype)), out);
}

std::optional<Digest> StageReader::digest(const std::string& name) const {
  return place(std::string(kTensorPrefix) + name).array->digest;
}

std::vector<std::string> StageReader::files() const {
  std::vector<std::string> names;
  for (const ArrayEntry& array : own_->manifest().arrays)
    if (array.spec.path.starts_with(kFilePrefix)) names.push_back(array.spec.path.substr(kFilePrefix.size()));
  return names;
}

std::string StageReader::read_file(const std::string& name) const {
  const auto [file, array] = place(std::string(kFilePrefix) + name);
  std::string text(array->spec.bytes(), '\0');
  file->read(*array, 0, std::as_writable_bytes(std::span(text)));
  return text;
}

std::int64_t StageReader::bytes_read() const {
  std::uint64_t bytes = own_->bytes_read();
  for (const auto& [id, holder] : holders_) bytes += holder->bytes_read();
  return static_cast<std::int64_t>(bytes);
}

}  // namespace retain::framework
