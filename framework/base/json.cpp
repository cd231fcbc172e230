// SPDX-License-Identifier: Apache-2.0
#include "framework/base/json.h"

#include <algorithm>
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
  json::stream_parser parser;
  boost::system::error_code code;
  const std::size_t used = parser.write_some(text.data(), text.size(), code);
  if (!code && used == text.size()) parser.finish(code);
  const bool trailing = !code && text.find_first_not_of(" \t\r\n", used) != std::string_view::npos;
  if (!code && !trailing) return parser.release();
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
