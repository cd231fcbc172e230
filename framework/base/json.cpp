// SPDX-License-Identifier: Apache-2.0
#include "framework/base/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/src.hpp>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>

namespace retain::framework {
namespace {

/// 0.5 rather than Boost's 5E-1; the shortest text that reads back as the same double.
std::string number_text(double number) {
  char text[40];
  const auto end = std::to_chars(text, text + sizeof text, number).ptr;
  const std::string shortest(text, end);
  return shortest.find_first_of(".e") == std::string::npos ? shortest + ".0" : shortest;
}

void print(const json::value& value, std::string& out, int depth) {
  const std::string indent(2 * (depth + 1), ' ');
  const std::string outdent(2 * depth, ' ');
  if (const auto* object = value.if_object(); object && !object->empty()) {
    out += "{\n";
    bool first = true;
    for (const auto& [key, item] : *object) {
      out += (first ? "" : ",\n") + indent + json::serialize(json::string(key)) + ": ";
      print(item, out, depth + 1);
      first = false;
    }
    out += "\n" + outdent + "}";
  } else if (const auto* array = value.if_array(); array && !array->empty()) {
    out += "[\n";
    for (std::size_t i = 0; i < array->size(); ++i) {
      out += (i ? ",\n" : "") + indent;
      print((*array)[i], out, depth + 1);
    }
    out += "\n" + outdent + "]";
  } else if (const double* number = value.if_double(); number && std::isfinite(*number)) {
    out += number_text(*number);
  } else {
    out += json::serialize(value);
  }
}

/// Builds a value from a parser's events as Boost's own parser does, but for doubles: Boost before 1.84 reads some of them one unit
/// in the last place off, and a figure must come back from the store as it was put there.
class ValueBuilder {
 public:
  using code = boost::system::error_code;
  static constexpr std::size_t max_object_size = json::object::max_size();
  static constexpr std::size_t max_array_size = json::array::max_size();
  static constexpr std::size_t max_key_size = json::string::max_size();
  static constexpr std::size_t max_string_size = json::string::max_size();

  ValueBuilder() { values_.reset(); }
  json::value release() { return values_.release(); }

  bool on_document_begin(code&) { return true; }
  bool on_document_end(code&) { return true; }
  bool on_object_begin(code&) { return true; }
  bool on_object_end(std::size_t members, code&) { return values_.push_object(members), true; }
  bool on_array_begin(code&) { return true; }
  bool on_array_end(std::size_t elements, code&) { return values_.push_array(elements), true; }
  bool on_key_part(json::string_view part, std::size_t, code&) { return values_.push_chars(part), true; }
  bool on_key(json::string_view last, std::size_t, code&) { return values_.push_key(last), true; }
  bool on_string_part(json::string_view part, std::size_t, code&) { return values_.push_chars(part), true; }
  bool on_string(json::string_view last, std::size_t, code&) { return values_.push_string(last), true; }
  bool on_number_part(json::string_view part, code&) { return number_.append(part), true; }
  bool on_int64(std::int64_t number, json::string_view, code&) { return number_.clear(), values_.push_int64(number), true; }
  bool on_uint64(std::uint64_t number, json::string_view, code&) { return number_.clear(), values_.push_uint64(number), true; }
  bool on_double(double near, json::string_view last, code&) {
    number_.append(last);
    double exact = near;
    const auto read = std::from_chars(number_.data(), number_.data() + number_.size(), exact);
    values_.push_double(read.ec == std::errc() ? exact : near);  // out of range: infinity or zero, as Boost has it
    number_.clear();
    return true;
  }
  bool on_bool(bool flag, code&) { return values_.push_bool(flag), true; }
  bool on_null(code&) { return values_.push_null(), true; }
  bool on_comment_part(json::string_view, code&) { return true; }
  bool on_comment(json::string_view, code&) { return true; }

 private:
  json::value_stack values_;
  std::string number_;
};

}  // namespace

std::string read_file(const std::filesystem::path& file) {
  std::error_code code;
  if (std::filesystem::is_directory(file, code)) throw Error(ErrorKind::io, file.string() + " is a folder, not a file");
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw Error(ErrorKind::io, "cannot open " + file.string() + ": " + std::strerror(errno));
  std::ostringstream bytes;
  bytes << stream.rdbuf();
  if (stream.bad()) throw Error(ErrorKind::io, "cannot read " + file.string() + ": " + std::strerror(errno));
  return std::move(bytes).str();
}

json::value parse_json(std::string_view text, const std::string& origin, ErrorKind kind) {
  json::basic_parser<ValueBuilder> parser(json::parse_options{});
  boost::system::error_code code;
  const std::size_t used = parser.write_some(false, text.data(), text.size(), code);
  const bool trailing = !code && text.find_first_not_of(" \t\r\n", used) != std::string_view::npos;
  if (!code && !trailing) return parser.handler().release();
  const std::string_view before = text.substr(0, used);
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const auto column = used - (before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1) + 1;
  throw Error(kind, {origin + " is not valid JSON", "a complete JSON document in UTF-8",
                     (trailing ? std::string("more text after the document") : code.message()) + " at line " +
                         std::to_string(line) + ", column " + std::to_string(column),
                     "repair or download the file again"});
}

json::value read_json(const std::filesystem::path& file, ErrorKind kind) {
  return parse_json(read_file(file), file.string(), kind);
}

std::string pretty(const json::value& value) {
  std::string out;
  print(value, out, 0);
  return out + "\n";
}

}  // namespace retain::framework
