// SPDX-License-Identifier: Apache-2.0
// Tables of separated fields. The file stays mapped: a row is parsed when it is asked for, a picture decoded when it is read.
#include <algorithm>
#include <memory>
#include <unordered_map>
#include <utility>

#include "framework/base/mapped_file.h"
#include "framework/data/base64.h"
#include "framework/data/row_table.h"
#include "framework/text/utf8.h"

namespace retain::framework {
namespace {

constexpr std::size_t kShortestPicture = 64;  // characters; what is shorter names another row (VLMEvalKit)

class TextTable final : public RowTable, public std::enable_shared_from_this<TextTable> {
 public:
  TextTable(std::filesystem::path file, std::filesystem::path images_root, RowColumns columns, char separator)
      : file_(std::move(file)), images_root_(std::move(images_root)), columns_(std::move(columns)), separator_(separator), mapped_(file_) {
    const auto bytes = mapped_.bytes();
    text_ = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
    find_rows();
    if (rows_.empty())
      throw Error(ErrorKind::data_invalid, {file_.string() + " has no line of column names",
                                            "names of columns, then rows", "nothing", "write it again"});
    header_ = fields(rows_.front(), {}, "column names");
    rows_.erase(rows_.begin());
    for (const std::vector<std::string>* names : {&columns_.values, &columns_.pictures})
      for (const std::string& column : *names)
        if (std::find(header_.begin(), header_.end(), column) == header_.end()) refuse_column(file_, column, header_);
    limits_.assign(header_.size(), 0);
    for (const std::vector<std::string>* names : {&columns_.values, &columns_.optional})
      for (const std::string& column : *names)
        if (const std::size_t place = place_of(column); place < header_.size()) limits_[place] = std::string::npos;
    for (const std::string& column : columns_.pictures)
      limits_[place_of(column)] = std::max(limits_[place_of(column)], column.ends_with("path") ? std::string::npos : kShortestPicture);
    index_shared_pictures();
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(rows_.size()); }
  bool names_picture_files() const override { return false; }

  json::object values(std::int64_t row) const override {
    const std::vector<std::string> found = row_fields(row, limits_);
    json::object object;
    for (const std::vector<std::string>* names : {&columns_.values, &columns_.optional})
      for (const std::string& column : *names) {
        const std::size_t place = place_of(column);
        if (place == header_.size() || found[place].empty()) object[column] = nullptr;
        else object[column] = found[place];
      }
    return object;
  }

  std::vector<Picture> pictures(std::int64_t row) const override {
    std::vector<Picture> found;
    if (columns_.pictures.empty()) return found;
    const std::vector<std::string> fields = row_fields(row, limits_);
    for (const std::string& column : columns_.pictures) {
      const std::size_t place = place_of(column);
      const std::string& field = fields[place];  // its beginning
      if (field.empty()) continue;
      if (column.ends_with("path")) {
        found.emplace_back(images_root_ / field);
        continue;
      }
      std::int64_t source = row;
      if (field.size() < kShortestPicture)
        if (const auto other = rows_by_index_.find(field); other != rows_by_index_.end()) source = other->second;
      found.emplace_back(file_.string() + ", row " + std::to_string(source) + ", " + column,
                         [self = shared_from_this(), source, place] { return self->decoded(source, place); });
    }
    return found;
  }

 private:
  /// Where the field that begins at `at` ends. A quote opens only at a field's beginning; inside, two stand for one. At most
  /// `limit` bytes of the field are appended to `field`.
  std::size_t end_of_field(std::size_t at, std::size_t limit, std::string& field) const {
    const bool quoted = at < text_.size() && text_[at] == '"';
    if (!quoted) {
      const char stops[] = {separator_, '\n', '\0'};
      const std::size_t end = std::min(text_.find_first_of(stops, at), text_.size());
      std::string_view raw = text_.substr(at, end - at);
      if (end < text_.size() && text_[end] == '\n' && raw.ends_with('\r')) raw.remove_suffix(1);
      field += raw.substr(0, limit);
      return end;
    }
    for (++at;; ++at) {
      const std::size_t quote = text_.find('"', at);
      if (quote == std::string_view::npos)
        throw Error(ErrorKind::data_invalid, {file_.string() + " ends inside quotes", "a closing quote",
                                              "the end of the file", "write it again"});
      field += text_.substr(at, std::min(quote - at, limit - std::min(limit, field.size())));
      at = quote + 1;
      if (at == text_.size() || text_[at] != '"') break;
      if (field.size() < limit) field += '"';
    }
    return std::min(text_.find_first_of(std::string{separator_, '\n'}, at), text_.size());
  }

  /// Byte offsets of the lines; quoted fields may hold line ends.
  void find_rows() {
    std::size_t at = 0;
    while (at < text_.size()) {
      const std::size_t begin = at;
      std::string ignored;
      while ((at = end_of_field(at, 0, ignored)) < text_.size() && text_[at] == separator_) ++at;
      if (at > begin + (text_[begin] == '\r' ? 1 : 0)) rows_.push_back(begin);
      ++at;
    }
  }

  /// The fields of the row that begins at `at`, each as far as `limits` says (all of it beyond their number).
  std::vector<std::string> fields(std::size_t at, const std::vector<std::size_t>& limits, const std::string& where) const {
    std::vector<std::string> found;
    while (true) {
      found.emplace_back();
      at = end_of_field(at, found.size() <= limits.size() ? limits[found.size() - 1] : std::string::npos, found.back());
      if (find_ill_formed_utf8(found.back()))
        throw Error(ErrorKind::data_invalid,
                    {file_.string() + ", " + where + ": not UTF-8", "UTF-8 text", "other bytes", "convert the file"});
      if (at >= text_.size() || text_[at] != separator_) return found;
      ++at;
    }
  }

  std::vector<std::string> row_fields(std::int64_t row, const std::vector<std::size_t>& limits) const {
    const std::string where = "row " + std::to_string(row);
    std::vector<std::string> found = fields(rows_.at(static_cast<std::size_t>(row)), limits, where);
    if (found.size() != header_.size())
      throw Error(ErrorKind::data_invalid, {file_.string() + ", " + where + " has another number of fields than there are columns",
                                            std::to_string(header_.size()), std::to_string(found.size()), "correct or remove the row"});
    return found;
  }

  std::size_t place_of(const std::string& column) const {
    return static_cast<std::size_t>(std::find(header_.begin(), header_.end(), column) - header_.begin());
  }

  /// Only where some picture is too short to be one is the "index" column read.
  void index_shared_pictures() {
    const std::size_t index = place_of("index");
    if (columns_.pictures.empty() || index == header_.size()) return;
    std::vector<std::size_t> limits = limits_;
    limits[index] = std::string::npos;
    for (std::int64_t row = 0; row < size(); ++row) {
      const std::vector<std::string> found = fields(rows_[static_cast<std::size_t>(row)], limits, "row " + std::to_string(row));
      for (const std::string& column : columns_.pictures) {
        const std::size_t place = place_of(column);
        if (found.size() == header_.size() && found[place].size() >= kShortestPicture) rows_by_index_.emplace(found[index], row);
      }
    }
  }

  std::string decoded(std::int64_t row, std::size_t place) const {
    const std::string where = file_.string() + ", row " + std::to_string(row) + ", " + header_[place];
    std::vector<std::size_t> all(header_.size(), 0);
    all[place] = std::string::npos;
    auto bytes = from_base64(row_fields(row, all)[place]);
    if (!bytes || bytes->empty())
      throw Error(ErrorKind::data_invalid, {where + ": the picture is no base64", "base64 of a JPEG, PNG or WebP file", "other text",
                                            "correct the row, or name the right column"});
    return std::move(*bytes);
  }

  std::filesystem::path file_;
  std::filesystem::path images_root_;
  RowColumns columns_;
  char separator_;
  MappedFile mapped_;
  std::string_view text_;
  std::vector<std::size_t> rows_;     ///< where each begins
  std::vector<std::string> header_;
  std::vector<std::size_t> limits_;   ///< bytes of each column's fields that values() and pictures() look at
  std::unordered_map<std::string, std::int64_t> rows_by_index_;  ///< of rows that hold a picture
};

}  // namespace

std::shared_ptr<const RowTable> open_text_table(const std::filesystem::path& file,
                                                const std::filesystem::path& images_root, const RowColumns& columns,
                                                char separator) {
  return std::make_shared<TextTable>(file, images_root, columns, separator);
}

}  // namespace retain::framework
