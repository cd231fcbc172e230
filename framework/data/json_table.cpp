// SPDX-License-Identifier: Apache-2.0
// Rows of a JSON list or a JSONL file of objects; pictures are file names.
#include <utility>

#include "framework/data/record_file.h"
#include "framework/data/row_table.h"

namespace retain::framework {
namespace {

class JsonTable final : public RowTable {
 public:
  JsonTable(const std::filesystem::path& file, const std::filesystem::path& images_root, RowColumns columns)
      : file_(file, images_root), columns_(std::move(columns)) {}

  std::int64_t size() const override { return file_.size(); }
  bool names_picture_files() const override { return true; }

  json::object values(std::int64_t row) const override {
    const json::object object = parse(row);
    json::object kept;
    for (const std::string& column : columns_.values) kept[column] = member(object, column, row);
    for (const std::string& column : columns_.optional) kept[column] = object.contains(column) ? object.at(column) : json::value();
    return kept;
  }

  std::vector<Picture> pictures(std::int64_t row) const override {
    if (columns_.pictures.empty()) return {};
    const json::object object = parse(row);
    std::vector<Picture> found;
    for (const std::string& column : columns_.pictures) {
      const json::value& value = member(object, column, row);
      if (value.is_array())
        for (const json::value& item : value.get_array()) add(item, row, found);
      else if (!value.is_null())
        add(value, row, found);
    }
    return found;
  }

 private:
  json::object parse(std::int64_t row) const {
    const json::value value = parse_json(file_.bytes(row), file_.where(row), ErrorKind::data_invalid);
    if (!value.is_object())
      throw Error(ErrorKind::data_invalid, {file_.where(row) + " is not an object", "an object a row",
                                            json::serialize(value).substr(0, 100), "correct or remove the record"});
    return value.get_object();
  }

  const json::value& member(const json::object& object, const std::string& column, std::int64_t row) const {
    const json::value* value = object.if_contains(column);
    if (value != nullptr) return *value;
    std::vector<std::string> present;
    for (const auto& item : object) present.emplace_back(item.key());
    refuse_column(file_.where(row), column, present);
  }

  void add(const json::value& name, std::int64_t row, std::vector<Picture>& found) const {
    if (!name.is_string() || name.get_string().empty() || name.get_string().find('\0') != json::string::npos)
      throw Error(ErrorKind::data_invalid, {file_.where(row) + ": a picture is no file name", "a string, or a list of strings",
                                            json::serialize(name).substr(0, 100), "correct or remove the record"});
    found.emplace_back(file_.images_root() / std::string(name.get_string()));
  }

  RecordFile file_;
  RowColumns columns_;
};

}  // namespace

std::shared_ptr<const RowTable> open_json_table(const std::filesystem::path& file,
                                                const std::filesystem::path& images_root, const RowColumns& columns) {
  return std::make_shared<JsonTable>(file, images_root, columns);
}

}  // namespace retain::framework
