// SPDX-License-Identifier: Apache-2.0
// Typed fields of a model's JSON configuration; every refusal names the file and the field.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/dtype.h"
#include "framework/base/json.h"
#include "models/lmm/config.h"

namespace retain::models {

/// One JSON object of a configuration file. A field that is absent or null takes the fallback, as in transformers;
/// without a fallback it is Error(config_invalid), and so are a wrong type and a value out of range.
class ConfigFields {
 public:
  /// `path` is the object's own place in the file, e.g. "text_config."; empty at the top. `object` must outlive this.
  ConfigFields(const framework::json::object& object, std::string file, std::string path);

  const std::string& file() const { return file_; }
  bool has(std::string_view key) const { return value(key) != nullptr; }
  /// True where the field is there and holds null.
  bool null(std::string_view key) const;
  /// Null when absent or null.
  const framework::json::value* value(std::string_view key) const;
  /// The object at `key`; empty when absent or null.
  std::optional<ConfigFields> object(std::string_view key) const;
  std::int64_t integer(std::string_view key, std::optional<std::int64_t> fallback, std::int64_t least = 1,
                       std::int64_t most = 1 << 28) const;
  /// Above zero and finite.
  double positive(std::string_view key, std::optional<double> fallback) const;
  bool boolean(std::string_view key, bool fallback) const;
  std::string text(std::string_view key, std::optional<std::string> fallback) const;
  Activation activation(std::string_view key, std::string fallback) const;
  /// `dtype` or `torch_dtype`, the weights' own; float32 where both are absent.
  framework::DType dtype() const;
  /// One integer or a list of integers; empty when absent.
  std::vector<std::int64_t> integers(std::string_view key) const;

  /// Throws Error(config_invalid) about a field.
  [[noreturn]] void refuse(std::string_view key, std::string expected, std::string found = "") const;
  /// Throws Error(config_unsupported) about a field.
  [[noreturn]] void unsupported(std::string_view key, std::string expected, std::string found = "") const;

 private:
  std::string found_at(std::string_view key) const;
  const framework::json::object* object_;
  std::string file_;
  std::string path_;
};

}  // namespace retain::models
