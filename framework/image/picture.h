// SPDX-License-Identifier: Apache-2.0
// Where a record's picture lies: in a file of its own, or inside a data file (a Parquet column, base64 in a table).
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "framework/image/decode.h"

namespace retain::framework {

/// Cheap to copy; holds no pixels. Const members may be called from several threads.
class Picture {
 public:
  /// The encoded bytes (JPEG, PNG, WebP). Called when they are needed, from any thread; throws Error.
  using Reader = std::function<std::string()>;

  Picture(std::filesystem::path file);  // NOLINT: a path is a picture wherever one is asked for
  /// `name` is its own among all pictures: "val.parquet, row 3, image".
  Picture(std::string name, Reader reader);

  const std::string& name() const noexcept { return name_; }
  /// Null where the picture lies inside a data file.
  const std::filesystem::path* file() const noexcept { return reader_ ? nullptr : &file_; }
  /// False for a file that is not there.
  bool exists() const;
  /// Throws Error(io) when it cannot be read.
  std::string bytes() const;

  friend bool operator==(const Picture& a, const Picture& b) { return a.name_ == b.name_; }

 private:
  std::string name_;
  std::filesystem::path file_;
  std::shared_ptr<const Reader> reader_;
};

/// As of a file (decode.h).
Image load_image(const Picture& picture, AlphaMode alpha = AlphaMode::white);
ImageSize read_size(const Picture& picture);

}  // namespace retain::framework
