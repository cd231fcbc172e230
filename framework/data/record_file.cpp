// SPDX-License-Identifier: Apache-2.0
// A scan for the ends of records: brackets and strings only, the rest is left to the JSON parser.
#include "framework/data/record_file.h"

#include <algorithm>
#include <utility>

#include "framework/base/error.h"
#include "framework/base/json.h"

namespace retain::framework {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

RecordFile::RecordFile(std::filesystem::path file, std::filesystem::path images_root)
    : file_(std::move(file)), images_root_(std::move(images_root)) {
  const std::string extension = file_.extension().string();
  if (extension != ".json" && extension != ".jsonl")
    throw Error(ErrorKind::data_invalid,
                {file_.string() + " is no kind of data file that Retain reads",
                 ".json (a list of records) or .jsonl (a record a line)",
                 extension.empty() ? "no extension" : extension, "rename or convert the file"});
  text_ = read_file(file_);
  extension == ".jsonl" ? index_lines() : index_list();
}

void RecordFile::invalid(std::string found, std::size_t position) const {
  const auto before = std::string_view(text_).substr(0, position);
  throw Error(ErrorKind::data_invalid,
              {file_.string() + " is not a JSON list of records", "[record, record, …]",
               std::move(found) + " at line " + std::to_string(1 + std::count(before.begin(), before.end(), '\n')),
               "repair the file or write it again"});
}

void RecordFile::index_lines() {
  std::size_t begin = text_.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  while (begin < text_.size()) {
    const std::size_t end = std::min(text_.find('\n', begin), text_.size());
    const std::size_t first = text_.find_first_not_of(kSpace, begin);
    if (first < end) spans_.push_back({begin, end});
    begin = end + 1;
  }
}

std::size_t RecordFile::end_of_value(std::size_t position) const {
  std::size_t depth = 0;
  for (; position < text_.size(); ++position) {
    const char c = text_[position];
    if (c == '"') {
      for (++position; position < text_.size() && text_[position] != '"'; ++position)
        if (text_[position] == '\\') ++position;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (depth > 0 && (c == '}' || c == ']')) {
      --depth;
    } else if (depth == 0 && (c == ',' || c == ']')) {
      return position;
    }
  }
  invalid("the end of the file", text_.size());
}

void RecordFile::index_list() {
  std::size_t position = text_.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  position = text_.find_first_not_of(kSpace, position);
  if (position == std::string::npos) invalid("nothing", text_.size());
  if (text_[position] != '[') invalid(text_[position] == '{' ? "an object" : "something else", position);
  position = text_.find_first_not_of(kSpace, position + 1);
  if (position == std::string::npos) invalid("the end of the file", text_.size());
  bool open = text_[position] != ']';
  while (open) {
    const std::size_t end = end_of_value(position);
    if (text_.find_first_not_of(kSpace, position) >= end) invalid("a comma without a record", end);
    spans_.push_back({position, end});
    open = text_[end] == ',';
    position = open ? end + 1 : end;
  }
  const std::size_t trailing = text_.find_first_not_of(kSpace, position + 1);
  if (trailing != std::string::npos) invalid("more text after the list", trailing);
}

std::string_view RecordFile::bytes(std::int64_t index) const {
  const Span span = spans_.at(static_cast<std::size_t>(index));
  return std::string_view(text_).substr(span.begin, span.end - span.begin);
}

std::string RecordFile::where(std::int64_t index) const {
  return file_.string() + ", record " + std::to_string(index);
}

Record RecordFile::at(std::int64_t index) const {
  return parse_record(parse_json(bytes(index), where(index), ErrorKind::data_invalid), file_, index, images_root_);
}

}  // namespace retain::framework
