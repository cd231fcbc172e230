// SPDX-License-Identifier: Apache-2.0
// Where records come from: a LLaVA file, or a table whose rows are made into records.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

#include "framework/data/record.h"

namespace retain::framework {

/// Records read on demand. Const members may be called from several threads.
class RecordSource {
 public:
  virtual ~RecordSource() = default;

  virtual std::int64_t size() const = 0;
  /// The text of record `index`: equal text, equal record but for the bytes of its pictures.
  virtual std::string text(std::int64_t index) const = 0;
  /// Record `index`. Throws what parse_record() throws.
  virtual Record at(std::int64_t index) const = 0;
  /// "train.json, record 3"
  virtual std::string where(std::int64_t index) const = 0;
  virtual const std::filesystem::path& file() const = 0;
  virtual const std::filesystem::path& images_root() const = 0;
};

}  // namespace retain::framework
