// SPDX-License-Identifier: Apache-2.0
// The one file that uses Apache Arrow. Value columns are read once; pictures a row group at a time.
#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/file_reader.h>

#include <algorithm>
#include <mutex>
#include <utility>

#include "framework/data/row_table.h"

namespace retain::framework {
namespace {

using ArrayPointer = std::shared_ptr<arrow::Array>;

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& what, const arrow::Status& status) {
  throw Error(ErrorKind::data_invalid, {file.string() + ": " + what, "a Parquet file", status.ToString().substr(0, 300),
                                        "fetch or write the file again"});
}

json::value to_json(const arrow::Array& array, std::int64_t i);

json::array list_json(const arrow::Array& items, std::int64_t begin, std::int64_t end) {
  json::array list;
  for (std::int64_t i = begin; i < end; ++i) list.push_back(to_json(items, i));
  return list;
}

template <class Array>
json::value number_json(const arrow::Array& array, std::int64_t i) {
  return json::value(static_cast<const Array&>(array).Value(i));
}

template <class Array>
json::value text_json(const arrow::Array& array, std::int64_t i) {
  const std::string_view view = static_cast<const Array&>(array).GetView(i);
  return json::value(json::string_view(view.data(), view.size()));
}

template <class Array>
json::value nested_json(const arrow::Array& array, std::int64_t i) {
  const auto& list = static_cast<const Array&>(array);
  return list_json(*list.values(), list.value_offset(i), list.value_offset(i) + list.value_length(i));
}

json::value to_json(const arrow::Array& array, std::int64_t i) {
  if (array.IsNull(i)) return nullptr;
  switch (array.type_id()) {
    case arrow::Type::STRING: return text_json<arrow::StringArray>(array, i);
    case arrow::Type::LARGE_STRING: return text_json<arrow::LargeStringArray>(array, i);
    case arrow::Type::BOOL: return number_json<arrow::BooleanArray>(array, i);
    case arrow::Type::INT8: return number_json<arrow::Int8Array>(array, i);
    case arrow::Type::INT16: return number_json<arrow::Int16Array>(array, i);
    case arrow::Type::INT32: return number_json<arrow::Int32Array>(array, i);
    case arrow::Type::INT64: return number_json<arrow::Int64Array>(array, i);
    case arrow::Type::UINT8: return number_json<arrow::UInt8Array>(array, i);
    case arrow::Type::UINT16: return number_json<arrow::UInt16Array>(array, i);
    case arrow::Type::UINT32: return number_json<arrow::UInt32Array>(array, i);
    case arrow::Type::UINT64: return number_json<arrow::UInt64Array>(array, i);
    case arrow::Type::FLOAT: return number_json<arrow::FloatArray>(array, i);
    case arrow::Type::DOUBLE: return number_json<arrow::DoubleArray>(array, i);
    case arrow::Type::LIST: return nested_json<arrow::ListArray>(array, i);
    case arrow::Type::LARGE_LIST: return nested_json<arrow::LargeListArray>(array, i);
    case arrow::Type::STRUCT: {
      json::object object;
      for (int field = 0; field < array.type()->num_fields(); ++field)
        object[array.type()->field(field)->name()] = to_json(*static_cast<const arrow::StructArray&>(array).field(field), i);
      return object;
    }
    case arrow::Type::DICTIONARY: {
      const auto& coded = static_cast<const arrow::DictionaryArray&>(array);
      return to_json(*coded.dictionary(), coded.GetValueIndex(i));
    }
    default: {
      const auto scalar = array.GetScalar(i);
      return scalar.ok() ? json::value(scalar.ValueOrDie()->ToString()) : json::value();
    }
  }
}

/// Item `item` of element `i` of a picture column: the array that holds it and its place there; lists are opened.
struct Cell {
  const arrow::Array* array = nullptr;
  std::int64_t place = 0;
};

std::int64_t items_of(const arrow::Array& array, std::int64_t i) {
  if (array.IsNull(i)) return 0;
  if (array.type_id() == arrow::Type::LIST) return static_cast<const arrow::ListArray&>(array).value_length(i);
  if (array.type_id() == arrow::Type::LARGE_LIST) return static_cast<const arrow::LargeListArray&>(array).value_length(i);
  return 1;
}

Cell item_of(const arrow::Array& array, std::int64_t i, std::int64_t item) {
  if (array.type_id() == arrow::Type::LIST) {
    const auto& list = static_cast<const arrow::ListArray&>(array);
    return {list.values().get(), list.value_offset(i) + item};
  }
  if (array.type_id() == arrow::Type::LARGE_LIST) {
    const auto& list = static_cast<const arrow::LargeListArray&>(array);
    return {list.values().get(), list.value_offset(i) + item};
  }
  return {&array, i};
}

std::string_view binary_at(const arrow::Array& array, std::int64_t i) {
  if (array.IsNull(i)) return {};
  if (array.type_id() == arrow::Type::BINARY) return static_cast<const arrow::BinaryArray&>(array).GetView(i);
  if (array.type_id() == arrow::Type::LARGE_BINARY) return static_cast<const arrow::LargeBinaryArray&>(array).GetView(i);
  if (array.type_id() == arrow::Type::STRING) return static_cast<const arrow::StringArray&>(array).GetView(i);
  if (array.type_id() == arrow::Type::LARGE_STRING) return static_cast<const arrow::LargeStringArray&>(array).GetView(i);
  return {};
}

bool holds_text(arrow::Type::type type) { return type == arrow::Type::STRING || type == arrow::Type::LARGE_STRING; }
bool holds_bytes(arrow::Type::type type) { return type == arrow::Type::BINARY || type == arrow::Type::LARGE_BINARY; }

class ParquetTable final : public RowTable, public std::enable_shared_from_this<ParquetTable> {
 public:
  ParquetTable(std::filesystem::path file, std::filesystem::path images_root, RowColumns columns, std::shared_ptr<PictureCache> cache)
      : file_(std::move(file)), images_root_(std::move(images_root)), columns_(std::move(columns)), cache_(std::move(cache)) {
    auto input = arrow::io::ReadableFile::Open(file_.string());
    if (!input.ok()) throw Error(ErrorKind::io, "cannot open " + file_.string() + ": " + input.status().ToString());
    auto reader = parquet::arrow::OpenFile(*input, arrow::default_memory_pool());
    if (!reader.ok()) refuse(file_, "it cannot be read", reader.status());
    reader_ = std::move(*reader);
    if (const auto status = reader_->GetSchema(&schema_); !status.ok()) refuse(file_, "its schema cannot be read", status);
    for (const std::vector<std::string>* names : {&columns_.values, &columns_.pictures})
      for (const std::string& column : *names)
        if (schema_->GetFieldIndex(column) < 0) refuse_column(file_, column, schema_->field_names());
    for (const std::string& column : columns_.optional)
      if (schema_->GetFieldIndex(column) >= 0) columns_.values.push_back(column);
    for (const std::string& column : columns_.pictures) check_pictures(column);
    for (int group = 0; group < reader_->num_row_groups(); ++group) read_values(group);
  }

  std::int64_t size() const override { return static_cast<std::int64_t>(values_.size()); }
  bool names_picture_files() const override { return false; }
  json::object values(std::int64_t row) const override {
    json::object object = values_.at(static_cast<std::size_t>(row));
    for (const std::string& column : columns_.optional) object.emplace(column, nullptr);
    return object;
  }

  std::vector<Picture> pictures(std::int64_t row) const override {
    std::vector<Picture> found;
    for (std::size_t column = 0; column < columns_.pictures.size(); ++column) {
      const PictureColumn& pictures = pictures_[column];
      if (pictures.names_files) {
        for (const std::string& name : pictures.names[static_cast<std::size_t>(row)]) found.emplace_back(images_root_ / name);
        continue;
      }
      for (std::int64_t item = 0; item < pictures.counts[static_cast<std::size_t>(row)]; ++item)
        found.emplace_back(file_.string() + ", row " + std::to_string(row) + ", " + columns_.pictures[column] +
                               (item == 0 ? std::string() : " " + std::to_string(item)),
                           [self = shared_from_this(), column, row, item] { return self->bytes_of(column, row, item); });
    }
    return found;
  }

 private:
  struct PictureColumn {
    std::vector<int> leaves;          ///< all of the column
    std::vector<int> light_leaves;    ///< enough to count the pictures of a row
    bool names_files = false;         ///< paths, no bytes
    std::vector<std::int64_t> counts; ///< by row
    std::vector<std::vector<std::string>> names;  ///< by row, where they are files
  };
  /// Indices of the leaf columns under a field, of all or of those named `leaf`.
  std::vector<int> leaves_of(const std::string& column, const std::string& leaf = "") const {
    const parquet::SchemaDescriptor& schema = *reader_->parquet_reader()->metadata()->schema();
    std::vector<int> found;
    for (int i = 0; i < schema.num_columns(); ++i) {
      const auto path = schema.Column(i)->path()->ToDotVector();
      if (path.front() == column && (leaf.empty() || path.back() == leaf)) found.push_back(i);
    }
    return found;
  }

  void check_pictures(const std::string& column) {
    std::shared_ptr<arrow::DataType> type = schema_->GetFieldByName(column)->type();
    if (type->id() == arrow::Type::LIST || type->id() == arrow::Type::LARGE_LIST) type = type->field(0)->type();
    PictureColumn pictures;
    pictures.leaves = leaves_of(column);
    pictures.light_leaves = pictures.leaves;
    pictures.names_files = holds_text(type->id());
    bool usable = holds_bytes(type->id()) || pictures.names_files;
    if (type->id() == arrow::Type::STRUCT) {
      for (const auto& field : type->fields()) usable = usable || (field->name() == "bytes" && holds_bytes(field->type()->id()));
      if (const auto paths = leaves_of(column, "path"); !paths.empty()) pictures.light_leaves = paths;
    }
    if (!usable)
      throw Error(ErrorKind::data_invalid, {file_.string() + ": column \"" + column + "\" holds no pictures",
                                            "bytes, {bytes, path}, a path, or a list of these",
                                            type->ToString().substr(0, 100), "name another column"});
    pictures_.push_back(std::move(pictures));
  }

  ArrayPointer read_column(int group, const std::vector<int>& leaves, const std::string& column) const {
    auto table = reader_->ReadRowGroup(group, leaves);
    if (!table.ok()) refuse(file_, "row group " + std::to_string(group) + " cannot be read", table.status());
    const auto chunks = (*table)->GetColumnByName(column);
    if (!chunks) refuse(file_, "row group " + std::to_string(group) + " lacks " + column, arrow::Status::Invalid("no such column"));
    if (chunks->num_chunks() == 1) return chunks->chunk(0);
    auto whole = arrow::Concatenate(chunks->chunks());
    if (!whole.ok()) refuse(file_, "row group " + std::to_string(group) + " cannot be put together", whole.status());
    return *whole;
  }

  void read_values(int group) {
    const auto rows = reader_->parquet_reader()->metadata()->RowGroup(group)->num_rows();
    first_rows_.push_back(size());
    if (rows == 0) return;
    const std::size_t first = values_.size();
    values_.resize(first + static_cast<std::size_t>(rows));
    const auto require_rows = [&](const ArrayPointer& array) {
      if (array->length() != rows) refuse(file_, "columns of different lengths", arrow::Status::Invalid("row group ", group));
    };
    for (const std::string& column : columns_.values) {
      const ArrayPointer array = read_column(group, leaves_of(column), column);
      require_rows(array);
      for (std::int64_t i = 0; i < rows; ++i) values_[first + static_cast<std::size_t>(i)][column] = to_json(*array, i);
    }
    for (std::size_t column = 0; column < pictures_.size(); ++column) {
      PictureColumn& pictures = pictures_[column];
      const ArrayPointer array = read_column(group, pictures.light_leaves, columns_.pictures[column]);
      require_rows(array);
      for (std::int64_t i = 0; i < rows; ++i) {
        pictures.counts.push_back(items_of(*array, i));
        if (!pictures.names_files) continue;
        pictures.names.emplace_back();
        for (std::int64_t item = 0; item < pictures.counts.back(); ++item) {
          const Cell cell = item_of(*array, i, item);
          pictures.names.back().emplace_back(binary_at(*cell.array, cell.place));
        }
      }
    }
  }

  /// The picture column of a row group, from memory where it was read before. Under the lock.
  std::shared_ptr<const arrow::Array> group_of(std::size_t column, int group) const {
    const std::string key = file_.string() + '\n' + columns_.pictures[column] + '\n' + std::to_string(group);
    if (const auto kept = cache_->find(key)) return std::static_pointer_cast<const arrow::Array>(kept);
    const auto metadata = reader_->parquet_reader()->metadata()->RowGroup(group);
    std::int64_t bytes = 0;
    for (const int leaf : pictures_[column].leaves) bytes += metadata->ColumnChunk(leaf)->total_uncompressed_size();
    const std::shared_ptr<const arrow::Array> array = read_column(group, pictures_[column].leaves, columns_.pictures[column]);
    cache_->keep(key, array, bytes);
    return array;
  }

  std::string bytes_of(std::size_t column, std::int64_t row, std::int64_t item) const {
    const std::lock_guard lock(mutex_);
    const auto next = std::upper_bound(first_rows_.begin(), first_rows_.end(), row);
    const auto group = static_cast<int>(next - first_rows_.begin()) - 1;
    const std::shared_ptr<const arrow::Array> array = group_of(column, group);
    const Cell cell = item_of(*array, row - first_rows_[static_cast<std::size_t>(group)], item);
    if (cell.array->type_id() != arrow::Type::STRUCT) return found(binary_at(*cell.array, cell.place), row, column);
    const auto& parts = static_cast<const arrow::StructArray&>(*cell.array);
    const std::string_view bytes = binary_at(*parts.GetFieldByName("bytes"), cell.place);
    const auto path = parts.GetFieldByName("path");
    if (bytes.empty() && path && holds_text(path->type_id()) && !path->IsNull(cell.place))
      return read_file(images_root_ / std::string(binary_at(*path, cell.place)));
    return found(bytes, row, column);
  }

  std::string found(std::string_view bytes, std::int64_t row, std::size_t column) const {
    if (!bytes.empty()) return std::string(bytes);
    throw Error(ErrorKind::image_empty,
                {file_.string() + ", row " + std::to_string(row) + ": " + columns_.pictures[column] + " holds no bytes",
                 "an encoded picture", "nothing", "correct or remove the row"});
  }

  std::filesystem::path file_;
  std::filesystem::path images_root_;
  RowColumns columns_;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<PictureColumn> pictures_;
  std::vector<json::object> values_;         ///< by row
  std::vector<std::int64_t> first_rows_;     ///< by row group
  std::shared_ptr<PictureCache> cache_;
  mutable std::mutex mutex_;                 ///< guards the reader
};

}  // namespace

bool has_parquet() { return true; }

std::shared_ptr<const RowTable> open_parquet_table(const std::filesystem::path& file, const std::filesystem::path& images_root,
                                                   const RowColumns& columns, const std::shared_ptr<PictureCache>& cache) {
  try {
    return std::make_shared<ParquetTable>(file, images_root, columns, cache);
  } catch (const parquet::ParquetException& error) {
    throw Error(ErrorKind::data_invalid, {file.string() + " cannot be read", "a Parquet file", std::string(error.what()).substr(0, 300),
                                          "fetch or write the file again"});
  }
}

}  // namespace retain::framework
