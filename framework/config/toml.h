// SPDX-License-Identifier: Apache-2.0
// Reading of TOML with refusals a user can act on: file, line, key, and the nearest valid spelling.
#pragma once
#include <toml++/toml.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace retain::framework {

/// A table of a TOML document, with the path by which messages name it ("train", "task[1]"). Reading a key marks it as
/// known; reject_unknown() then refuses whatever was not asked for. All readers throw Error(config_invalid).
class ConfigTable {
 public:
  ConfigTable(const toml::table* table, std::string path, std::string file);

  bool has(const std::string& key) const;
  /// True for [key], not for [[key]].
  bool has_table(const std::string& key) const;
  /// True for a string.
  bool has_text(const std::string& key) const;
  std::string text(const std::string& key, std::optional<std::string> otherwise = std::nullopt) const;
  /// One of `choices`; otherwise refused with the list and the nearest.
  std::string choice(const std::string& key, const std::vector<std::string>& choices, const std::string& otherwise) const;
  std::int64_t integer(const std::string& key, std::optional<std::int64_t> otherwise, std::int64_t least, std::int64_t most) const;
  double number(const std::string& key, std::optional<double> otherwise, double least, double most) const;
  bool flag(const std::string& key, bool otherwise) const;
  std::vector<std::string> texts(const std::string& key) const;          ///< a string or an array of strings
  std::vector<std::int64_t> integers(const std::string& key) const;
  std::vector<std::vector<std::string>> text_lists(const std::string& key) const;  ///< an array of arrays of strings
  ConfigTable table(const std::string& key) const;                       ///< empty when absent
  std::vector<std::string> keys() const;                                ///< as the file has them, none marked as known
  std::vector<ConfigTable> tables(const std::string& key) const;         ///< [[key]]; empty when absent

  /// Refuses every key never read, in this table and those read from it.
  void reject_unknown() const;
  /// "FILE:LINE: key path" of a key, for messages.
  std::string where(const std::string& key) const;
  /// True when the value came from --set.
  bool overridden(const std::string& key) const;
  /// Folder of the file that the key's value stands in, which may be a base of this one; `otherwise` where it stands in none.
  std::filesystem::path folder_of(const std::string& key, const std::filesystem::path& otherwise) const;
  const std::string& path() const noexcept { return path_; }
  const std::string& file() const noexcept { return file_; }

 private:
  const toml::node* find(const std::string& key) const;
  [[noreturn]] void refuse(const std::string& key, const std::string& expected, const std::string& found) const;

  const toml::table* table_;
  std::string path_;
  std::string file_;
  struct Seen;
  std::shared_ptr<Seen> seen_;
};

/// A TOML file with `--set path.to.key=value` applied over it. Array elements are addressed by position: task.0.name.
/// `base = "other.toml"` at its top takes from there what the file does not say: key by key in tables, arrays whole.
class ConfigFile {
 public:
  /// Throws Error(io) or Error(config_invalid) with line and column.
  static ConfigFile read(const std::filesystem::path& file, const std::vector<std::string>& overrides = {});
  /// The same from text; `name` stands for the file in messages.
  static ConfigFile parse(std::string_view text, const std::string& name, const std::vector<std::string>& overrides = {});

  ConfigTable root() const;
  /// Folder that relative paths in the file are relative to.
  const std::filesystem::path& folder() const noexcept { return folder_; }

 private:
  void lay_over_base(int depth);

  std::shared_ptr<toml::table> document_;
  std::string name_;
  std::filesystem::path folder_;
};

}  // namespace retain::framework
