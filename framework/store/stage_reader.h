// SPDX-License-Identifier: Apache-2.0
// A stage as a whole model: its own tensors from its file, the others from the ancestors that hold them.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/store/stage_file.h"
#include "framework/store/store.h"
#include "framework/store/tensor_source.h"

namespace retain::framework {

/// All files a stage needs are opened by the constructor, so later changes to the store (gc, rollback) do not reach it.
/// Thread-safe.
class StageReader : public TensorSource {
 public:
  /// `id` as Store::resolve gives it. Throws Error(store_unknown_stage) when the stage or an ancestor that holds some
  /// of its tensors is missing, Error(store_invalid) when a file is not what its name or a link says,
  /// Error(store_digest) for damaged bytes.
  StageReader(const Store& store, const std::string& id);

  const std::string& id() const noexcept { return id_; }
  const Manifest& manifest() const noexcept { return own_->manifest(); }
  const StageFile& file() const noexcept { return *own_; }

  const std::vector<TensorInfo>& tensors() const override { return tensors_; }
  void read(const std::string& name, std::int64_t first, std::span<std::byte> out) const override;
  std::optional<Digest> digest(const std::string& name) const override;

  /// Where an array of the manifest ("tensors/…", "files/…") physically lies. Throws Error(checkpoint_missing_tensor).
  struct Place {
    const StageFile* file;
    const ArrayEntry* array;
  };
  Place place(const std::string& path) const;

  /// Names of the attached files (config.json, tokenizer.json, …) and their bytes.
  std::vector<std::string> files() const;
  std::string read_file(const std::string& name) const;

  /// Over all files, in whole checked blocks.
  std::int64_t bytes_read() const override;

 private:
  std::string id_;
  std::shared_ptr<const StageFile> own_;
  std::map<std::string, std::shared_ptr<const StageFile>> holders_;
  std::vector<TensorInfo> tensors_;
};

/// Opens the file of a stage and checks that its content has the id its name says. Errors as StageReader's.
std::shared_ptr<const StageFile> open_stage_file(const Store& store, const std::string& id);

}  // namespace retain::framework
