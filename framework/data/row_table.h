// SPDX-License-Identifier: Apache-2.0
// A table of samples as a data set has them: text in columns by name, pictures in some of them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/data/picture_cache.h"
#include "framework/image/picture.h"

namespace retain::framework {

/// What is read of a table.
struct RowColumns {
  std::vector<std::string> values;    ///< text, numbers, lists of them; a name the table lacks is refused
  std::vector<std::string> optional;  ///< the same, empty where the table lacks it
  std::vector<std::string> pictures;  ///< a picture or a list of pictures each
};

/// Const members may be called from several threads.
class RowTable {
 public:
  virtual ~RowTable() = default;

  virtual std::int64_t size() const = 0;
  /// The value columns of a row, null where it has none. Throws Error(data_invalid) for a row that cannot be read.
  virtual json::object values(std::int64_t row) const = 0;
  /// The pictures of a row, in the order of RowColumns::pictures. Their bytes are not read yet.
  virtual std::vector<Picture> pictures(std::int64_t row) const = 0;
  /// Whether pictures are files beside the table, named in it. Then their names are part of the records.
  virtual bool names_picture_files() const = 0;
};

/// .json (a list of objects), .jsonl, .tsv, .csv, .parquet, or a folder of pictures in folders named after their class. In a
/// folder the columns are "class", "classes" (all of them, sorted), "label" (its place among them), "file" and "image".
/// Throws Error(data_invalid) for another kind of file, a column that is not there, or a table that cannot be read,
/// Error(config_unsupported) for .parquet where Retain was built without Arrow, Error(io).
std::shared_ptr<const RowTable> open_table(const std::filesystem::path& file, const std::filesystem::path& images_root,
                                           const RowColumns& columns, const std::shared_ptr<PictureCache>& cache);

// The kinds, one source file each.
std::shared_ptr<const RowTable> open_json_table(const std::filesystem::path& file,
                                                const std::filesystem::path& images_root, const RowColumns& columns);
/// Fields between `separator`s, quoted as pandas and spreadsheets quote. A picture is base64, a file name (a column whose name ends
/// in "path"), or, as in VLMEvalKit's files, the "index" of an earlier row with the same picture.
std::shared_ptr<const RowTable> open_text_table(const std::filesystem::path& file,
                                                const std::filesystem::path& images_root, const RowColumns& columns,
                                                char separator);
std::shared_ptr<const RowTable> open_folder_table(const std::filesystem::path& folder, const RowColumns& columns);
/// A picture is bytes, {bytes, path} (datasets.Image) or a path, or a list of these. Value columns are kept in memory; pictures are
/// read a row group at a time, and the groups read last stay in `cache`.
std::shared_ptr<const RowTable> open_parquet_table(const std::filesystem::path& file,
                                                   const std::filesystem::path& images_root, const RowColumns& columns,
                                                   const std::shared_ptr<PictureCache>& cache);
/// Whether this build reads Parquet.
bool has_parquet();

/// Refuses a column that `file` lacks, naming the nearest of `present`. Throws Error(data_invalid).
[[noreturn]] void refuse_column(const std::filesystem::path& file, const std::string& column, const std::vector<std::string>& present);

}  // namespace retain::framework
