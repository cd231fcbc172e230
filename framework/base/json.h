// SPDX-License-Identifier: Apache-2.0
// Boost.JSON (header-only; its one compiled source is framework/base/json.cpp) and the reading of whole files.
#pragma once
#include <boost/json.hpp>
#include <filesystem>
#include <string>
#include <string_view>

#include "framework/base/error.h"

namespace retain::framework {

namespace json = boost::json;

/// The bytes of a file. Throws Error(io) naming the file.
std::string read_file(const std::filesystem::path& file);

/// Parses JSON text; `origin` (usually a file) is named in Error(`kind`) with line and column when it is not JSON.
json::value parse_json(std::string_view text, const std::string& origin, ErrorKind kind = ErrorKind::config_invalid);

/// read_file + parse_json.
json::value read_json(const std::filesystem::path& file, ErrorKind kind = ErrorKind::config_invalid);

/// For people: JSON with two-space indentation and a final newline, keys in their stored order.
std::string pretty(const json::value& value);

}  // namespace retain::framework
