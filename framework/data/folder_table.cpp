// SPDX-License-Identifier: Apache-2.0
// A folder of pictures in folders named after their class, in sorted order.
#include <algorithm>
#include <array>
#include <utility>

#include "framework/data/row_table.h"
#include "framework/text/unicode.h"

namespace retain::framework {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 4> kPictures{".jpg", ".jpeg", ".png", ".webp"};

class FolderTable final : public RowTable {
 public:
  FolderTable(fs::path folder, RowColumns columns) : folder_(std::move(folder)), columns_(std::move(columns)) {
    for (const std::vector<std::string>* names : {&columns_.values, &columns_.pictures})
      for (const std::string& column : *names)
        if (std::find(kColumns.begin(), kColumns.end(), column) == kColumns.end())
          refuse_column(folder_, column, {kColumns.begin(), kColumns.end()});
    std::error_code code;
    for (fs::recursive_directory_iterator entry(folder_, code), end; !code && entry != end; entry.increment(code)) {
      const std::string extension = to_lower(entry->path().extension().string());
      if (entry->is_regular_file() && std::find(kPictures.begin(), kPictures.end(), extension) != kPictures.end())
        files_.push_back(entry->path().lexically_relative(folder_));
    }
    if (code) throw Error(ErrorKind::io, "cannot list " + folder_.string() + ": " + code.message());
    std::sort(files_.begin(), files_.end());
    for (const fs::path& file : files_)
      if (classes_.empty() || classes_.back() != class_of(file)) classes_.push_back(class_of(file));
    std::sort(classes_.begin(), classes_.end());
    classes_.erase(std::unique(classes_.begin(), classes_.end()), classes_.end());
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(files_.size()); }
  bool names_picture_files() const override { return true; }

  json::object values(std::int64_t row) const override {
    const fs::path& file = files_.at(static_cast<std::size_t>(row));
    const std::string name = class_of(file);
    const auto label = std::lower_bound(classes_.begin(), classes_.end(), name) - classes_.begin();
    return {{"class", name}, {"classes", json::value_from(classes_)}, {"label", label}, {"file", file.generic_string()}};
  }

  std::vector<Picture> pictures(std::int64_t row) const override {
    if (columns_.pictures.empty()) return {};
    return {Picture(folder_ / files_.at(static_cast<std::size_t>(row)))};
  }

 private:
  static constexpr std::array<const char*, 5> kColumns{"class", "classes", "label", "file", "image"};
  static std::string class_of(const fs::path& file) { return file.has_parent_path() ? file.begin()->string() : std::string(); }

  fs::path folder_;
  RowColumns columns_;
  std::vector<fs::path> files_;       ///< relative
  std::vector<std::string> classes_;  ///< sorted
};

}  // namespace

std::shared_ptr<const RowTable> open_folder_table(const fs::path& folder, const RowColumns& columns) {
  return std::make_shared<FolderTable>(folder, columns);
}

}  // namespace retain::framework
