// SPDX-License-Identifier: Apache-2.0
#include "models/weights/json_keys.h"

#include <boost/json/basic_parser_impl.hpp>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <unordered_set>
#include <utility>
#include <vector>

namespace retain::models {
namespace {

namespace json = boost::json;
using ErrorCode = boost::system::error_code;

/// Handler of Boost.JSON's event parser: one set of keys for every object that is open.
struct KeyWatcher {
  static constexpr std::size_t max_object_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_array_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_key_size = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t max_string_size = std::numeric_limits<std::size_t>::max();

  std::vector<std::unordered_set<std::string>> open;
  std::string partial;
  std::optional<std::string> repeated;

  bool on_object_begin(ErrorCode&) {
    open.emplace_back();
    return true;
  }
  bool on_object_end(std::size_t, ErrorCode&) {
    open.pop_back();
    return true;
  }
  bool on_key_part(json::string_view text, std::size_t, ErrorCode&) {
    partial.append(text.data(), text.size());
    return true;
  }
  bool on_key(json::string_view text, std::size_t, ErrorCode&) {
    partial.append(text.data(), text.size());
    if (!open.back().insert(partial).second && !repeated) repeated = partial;
    partial.clear();
    return true;
  }

  bool on_document_begin(ErrorCode&) { return true; }
  bool on_document_end(ErrorCode&) { return true; }
  bool on_array_begin(ErrorCode&) { return true; }
  bool on_array_end(std::size_t, ErrorCode&) { return true; }
  bool on_string_part(json::string_view, std::size_t, ErrorCode&) { return true; }
  bool on_string(json::string_view, std::size_t, ErrorCode&) { return true; }
  bool on_number_part(json::string_view, ErrorCode&) { return true; }
  bool on_int64(std::int64_t, json::string_view, ErrorCode&) { return true; }
  bool on_uint64(std::uint64_t, json::string_view, ErrorCode&) { return true; }
  bool on_double(double, json::string_view, ErrorCode&) { return true; }
  bool on_bool(bool, ErrorCode&) { return true; }
  bool on_null(ErrorCode&) { return true; }
  bool on_comment_part(json::string_view, ErrorCode&) { return true; }
  bool on_comment(json::string_view, ErrorCode&) { return true; }
};

}  // namespace

std::optional<std::string> repeated_key(std::string_view text) {
  json::basic_parser<KeyWatcher> parser{json::parse_options{}};
  ErrorCode code;
  parser.write_some(false, text.data(), text.size(), code);
  return std::move(parser.handler().repeated);
}

}  // namespace retain::models
