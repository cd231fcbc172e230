// SPDX-License-Identifier: Apache-2.0
#include "framework/data/prompt_template.h"

#include <algorithm>
#include <charconv>
#include <set>

#include "framework/text/unicode.h"
#include "framework/text/utf8.h"

namespace retain::framework {
namespace {

constexpr std::string_view kChanges[] = {"", "capitalize", "lower", "strip"};

[[noreturn]] void refuse(const std::string& origin, const std::string& what, const std::string& found) {
  throw Error(ErrorKind::config_invalid,
              {origin + ": " + what, "text with {column}, {column:capitalize|lower|strip}, [[…]], {{ and }}", found,
               "correct the template"});
}

std::string changed(const std::string& text, const std::string& change) {
  if (change == "lower") return to_lower(text);
  if (change == "strip") return strip(text);
  if (change != "capitalize" || text.empty()) return text;
  std::size_t first = 0;
  next_code_point(text, first);
  return to_upper(text.substr(0, first)) + to_lower(text.substr(first));
}

}  // namespace

std::string text_of(const json::value& value) {
  if (value.is_null()) return {};
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_double()) {
    char digits[32];
    return {digits, std::to_chars(digits, digits + sizeof digits, value.get_double()).ptr};
  }
  return json::serialize(value);
}

PromptTemplate::PromptTemplate(const std::string& text, const std::string& origin) {
  int parts = 0, optional = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const std::string_view pair = std::string_view(text).substr(at, 2);
    if (pair == "{{" || pair == "}}") {
      add_text(text[at++], optional);
    } else if (pair == "[[" || pair == "]]") {
      if ((pair == "[[") == (optional != 0)) refuse(origin, "brackets within brackets, or closed twice", text);
      optional = pair == "[[" ? ++parts : 0;
      ++at;
    } else if (text[at] == '{') {
      const std::size_t end = text.find('}', at);
      if (end == std::string::npos) refuse(origin, "a brace does not close", text);
      const std::string inside = text.substr(at + 1, end - at - 1);
      const std::size_t colon = std::min(inside.find(':'), inside.size());
      Piece piece{"", inside.substr(0, colon), colon < inside.size() ? inside.substr(colon + 1) : "", optional};
      if (piece.column.empty()) refuse(origin, "braces without a column", text);
      if (std::find(std::begin(kChanges), std::end(kChanges), piece.change) == std::end(kChanges))
        refuse(origin, "an unknown change", piece.change);
      if (std::find(columns_.begin(), columns_.end(), piece.column) == columns_.end()) columns_.push_back(piece.column);
      pieces_.push_back(std::move(piece));
      at = end;
    } else if (text[at] == '}') {
      refuse(origin, "a brace closes that did not open", text);
    } else {
      add_text(text[at], optional);
    }
  }
  if (optional != 0) refuse(origin, "a bracket does not close", text);
}

void PromptTemplate::add_text(char c, int optional) {
  if (pieces_.empty() || !pieces_.back().column.empty() || pieces_.back().optional != optional) pieces_.push_back({"", "", "", optional});
  pieces_.back().text += c;
}

std::string PromptTemplate::fill(const json::object& values) const {
  std::set<int> dropped;
  for (const Piece& piece : pieces_)
    if (piece.optional != 0 && !piece.column.empty() && text_of(values.at(piece.column)).empty()) dropped.insert(piece.optional);
  std::string text;
  for (const Piece& piece : pieces_) {
    if (dropped.contains(piece.optional)) continue;
    text += piece.column.empty() ? piece.text : changed(text_of(values.at(piece.column)), piece.change);
  }
  return text;
}

}  // namespace retain::framework
