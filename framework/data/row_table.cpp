// SPDX-License-Identifier: Apache-2.0
// Picks the reader of a table by its file's extension.
#include "framework/data/row_table.h"

#include "framework/config/nearest.h"

namespace retain::framework {

std::shared_ptr<const RowTable> open_table(const std::filesystem::path& file, const std::filesystem::path& images_root,
                                           const RowColumns& columns, const std::shared_ptr<PictureCache>& cache) {
  std::error_code code;
  if (std::filesystem::is_directory(file, code)) return open_folder_table(file, columns);
  const std::string extension = file.extension().string();
  if (extension == ".json" || extension == ".jsonl") return open_json_table(file, images_root, columns);
  if (extension == ".tsv") return open_text_table(file, images_root, columns, '\t');
  if (extension == ".csv") return open_text_table(file, images_root, columns, ',');
  if (extension == ".parquet") return open_parquet_table(file, images_root, columns, cache);
  throw Error(ErrorKind::data_invalid, {file.string() + " is no kind of table that Retain reads",
                                        ".json, .jsonl, .tsv, .csv, .parquet, or a folder of pictures",
                                        extension.empty() ? "no extension" : extension, "rename or convert the file"});
}

void refuse_column(const std::filesystem::path& file, const std::string& column, const std::vector<std::string>& present) {
  std::string listed;
  for (const std::string& name : present) listed += (listed.empty() ? "" : ", ") + name;
  throw Error(ErrorKind::data_invalid, {file.string() + " has no column \"" + column + "\"", "one of its columns: " + listed, column,
                                        did_you_mean(column, present, "correct the source's fields")});
}

}  // namespace retain::framework
