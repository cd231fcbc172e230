// SPDX-License-Identifier: Apache-2.0
#include "framework/config/toml.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/config/nearest.h"
#include "framework/config/toml_text.h"

namespace retain::framework {
namespace {

constexpr std::string_view kOverride = "--set";
constexpr int kMostBases = 8;

/// What `over` does not say is taken from `base`.
void complete(toml::table& over, toml::table& base) {
  for (auto&& [key, node] : base) {
    toml::node* own = over.get(key.str());
    if (!own) over.insert(key.str(), std::move(node));
    else if (own->is_table() && node.is_table()) complete(*own->as_table(), *node.as_table());
  }
}

std::string describe(const toml::node& node) {
  std::ostringstream text;
  node.visit([&](const auto& value) {
    using Node = std::decay_t<decltype(value)>;
    if constexpr (toml::is_table<Node>) text << "a table";
    else if constexpr (toml::is_array<Node>) text << "an array";
    else if constexpr (toml::is_string<Node>) text << '"' << value.get() << '"';
    else text << value;
  });
  return text.str();
}

std::string number_text(double value) {
  std::ostringstream text;
  text << value;
  return text.str();
}

/// `key=value`: the value is read as TOML, and as a plain string when it is not TOML.
void apply_override(toml::table& document, const std::string& assignment) {
  const std::size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    throw Error(ErrorKind::usage, {"--set " + assignment + " is not an assignment", "--set path.to.key=value", assignment, ""});
  std::string value = assignment.substr(equals + 1);
  toml::table parsed;
  try {
    if (!stray_character(value)) parsed = toml::parse("value = " + value, kOverride);
  } catch (const toml::parse_error&) {
    parsed.clear();
  }
  if (!parsed.contains("value")) parsed.insert("value", value);
  toml::node* node = &document;
  std::istringstream keys(assignment.substr(0, equals));
  std::vector<std::string> parts;
  for (std::string part; std::getline(keys, part, '.');) parts.push_back(part);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const bool last = i + 1 == parts.size();
    if (auto* array = node->as_array()) {
      const bool digits = !parts[i].empty() && parts[i].find_first_not_of("0123456789") == std::string::npos;
      const std::size_t index = digits && parts[i].size() < 9 ? std::stoul(parts[i]) : array->size();
      if (last || index >= array->size())
        throw Error(ErrorKind::usage, {"--set " + assignment + " names no element", "a position below " + std::to_string(array->size()),
                                       parts[i], "address array elements by position, e.g. task.0.name=…"});
      node = array->get(index);
      continue;
    }
    toml::table* table = node->as_table();
    if (!table) throw Error(ErrorKind::usage, "--set " + assignment + ": " + parts[i - 1] + " is not a table");
    if (last) {
      table->insert_or_assign(parts[i], *parsed.get("value"));
      return;
    }
    if (!table->contains(parts[i])) table->insert(parts[i], toml::table{});
    node = table->get(parts[i]);
  }
}

}  // namespace

struct ConfigTable::Seen {
  std::set<std::string> keys;
  std::vector<ConfigTable> children;
};

ConfigTable::ConfigTable(const toml::table* table, std::string path, std::string file)
    : table_(table), path_(std::move(path)), file_(std::move(file)), seen_(std::make_shared<Seen>()) {}

const toml::node* ConfigTable::find(const std::string& key) const {
  seen_->keys.insert(key);
  return table_ ? table_->get(key) : nullptr;
}

bool ConfigTable::has(const std::string& key) const { return find(key) != nullptr; }

bool ConfigTable::has_table(const std::string& key) const {
  const toml::node* node = find(key);
  return node != nullptr && node->is_table();
}

bool ConfigTable::has_text(const std::string& key) const {
  const toml::node* node = find(key);
  return node != nullptr && node->is_string();
}

std::filesystem::path ConfigTable::folder_of(const std::string& key, const std::filesystem::path& otherwise) const {
  const toml::node* node = table_ ? table_->get(key) : nullptr;
  return node && node->source().path ? std::filesystem::path(*node->source().path).parent_path() : otherwise;
}

bool ConfigTable::overridden(const std::string& key) const {
  const toml::node* node = table_ ? table_->get(key) : nullptr;
  return node && ((node->source().path && *node->source().path == kOverride) || node->source().begin.line == 0);
}

std::string ConfigTable::where(const std::string& key) const {
  if (overridden(key)) return "--set " + (path_.empty() ? key : path_ + "." + key);
  const toml::node* node = table_ ? table_->get(key) : nullptr;
  const toml::source_region place = node ? node->source() : (table_ ? table_->source() : toml::source_region());
  const auto line = place.begin.line;
  const std::string name = path_.empty() ? key : path_ + "." + key;
  return (place.path ? *place.path : file_) + (line ? ":" + std::to_string(line) : "") + ": " + name;
}

void ConfigTable::refuse(const std::string& key, const std::string& expected, const std::string& found) const {
  throw Error(ErrorKind::config_invalid, {where(key), expected, found, "correct this key, or override it with --set"});
}

std::string ConfigTable::text(const std::string& key, std::optional<std::string> otherwise) const {
  const toml::node* node = find(key);
  if (!node && otherwise) return *otherwise;
  if (!node) refuse(key, "a string", "nothing: the key is required");
  if (const auto value = node->value_exact<std::string>()) return *value;
  refuse(key, "a string", describe(*node));
}

std::string ConfigTable::choice(const std::string& key, const std::vector<std::string>& choices, const std::string& otherwise) const {
  const std::string value = text(key, otherwise);
  std::string listed;
  for (const std::string& choice : choices) {
    if (choice == value) return value;
    listed += (listed.empty() ? "" : ", ") + choice;
  }
  const std::string near = nearest(value, choices);
  refuse(key, "one of " + listed, "\"" + value + "\"" + (near.empty() ? "" : " (did you mean \"" + near + "\"?)"));
}

std::int64_t ConfigTable::integer(const std::string& key, std::optional<std::int64_t> otherwise, std::int64_t least,
                                  std::int64_t most) const {
  const toml::node* node = find(key);
  if (!node && otherwise) return *otherwise;
  const std::string expected = "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  if (!node) refuse(key, expected, "nothing: the key is required");
  const auto value = node->value_exact<std::int64_t>();
  if (!value || *value < least || *value > most) refuse(key, expected, describe(*node));
  return *value;
}

double ConfigTable::number(const std::string& key, std::optional<double> otherwise, double least, double most) const {
  const toml::node* node = find(key);
  if (!node && otherwise) return *otherwise;
  const std::string expected = "a number from " + number_text(least) + " to " + number_text(most);
  if (!node) refuse(key, expected, "nothing: the key is required");
  const auto value = node->is_number() ? node->value<double>() : std::nullopt;
  if (!value || !(*value >= least && *value <= most)) refuse(key, expected, describe(*node));
  return *value;
}

bool ConfigTable::flag(const std::string& key, bool otherwise) const {
  const toml::node* node = find(key);
  if (!node) return otherwise;
  if (const auto value = node->value_exact<bool>()) return *value;
  refuse(key, "true or false", describe(*node));
}

std::vector<std::string> ConfigTable::texts(const std::string& key) const {
  const toml::node* node = find(key);
  if (!node) return {};
  if (const auto single = node->value_exact<std::string>()) return {*single};
  const toml::array* array = node->as_array();
  if (!array) refuse(key, "a string or an array of strings", describe(*node));
  std::vector<std::string> values;
  for (const toml::node& item : *array) {
    const auto value = item.value_exact<std::string>();
    if (!value) refuse(key, "an array of strings", "an element " + describe(item));
    values.push_back(*value);
  }
  return values;
}

std::vector<std::string> ConfigTable::keys() const {
  std::vector<std::string> names;
  if (table_)
    for (const auto& [key, value] : *table_) names.emplace_back(key.str());
  return names;
}

std::vector<std::int64_t> ConfigTable::integers(const std::string& key) const {
  const toml::node* node = find(key);
  if (!node) return {};
  const toml::array* array = node->as_array();
  if (!array) refuse(key, "an array of whole numbers", describe(*node));
  std::vector<std::int64_t> values;
  for (const toml::node& item : *array) {
    const auto value = item.value_exact<std::int64_t>();
    if (!value) refuse(key, "an array of whole numbers", "an element " + describe(item));
    values.push_back(*value);
  }
  return values;
}

std::vector<std::vector<std::string>> ConfigTable::text_lists(const std::string& key) const {
  const toml::node* node = find(key);
  if (!node) return {};
  const toml::array* array = node->as_array();
  if (!array) refuse(key, "an array of arrays of strings", describe(*node));
  std::vector<std::vector<std::string>> lists;
  for (const toml::node& item : *array) {
    const toml::array* inner = item.as_array();
    if (!inner) refuse(key, "an array of arrays of strings", "an element " + describe(item));
    lists.emplace_back();
    for (const toml::node& word : *inner) {
      const auto value = word.value_exact<std::string>();
      if (!value) refuse(key, "an array of arrays of strings", "an element " + describe(word));
      lists.back().push_back(*value);
    }
  }
  return lists;
}

ConfigTable ConfigTable::table(const std::string& key) const {
  const toml::node* node = find(key);
  if (node && !node->is_table()) refuse(key, "a table [" + key + "]", describe(*node));
  ConfigTable child(node ? node->as_table() : nullptr, path_.empty() ? key : path_ + "." + key, file_);
  seen_->children.push_back(child);
  return child;
}

std::vector<ConfigTable> ConfigTable::tables(const std::string& key) const {
  const toml::node* node = find(key);
  if (!node) return {};
  const toml::array* array = node->as_array();
  if (!array) refuse(key, "an array of tables [[" + key + "]]", describe(*node));
  std::vector<ConfigTable> children;
  for (std::size_t i = 0; i < array->size(); ++i) {
    const toml::table* item = array->get(i)->as_table();
    if (!item) refuse(key, "an array of tables [[" + key + "]]", "an element " + describe(*array->get(i)));
    children.emplace_back(item, (path_.empty() ? key : path_ + "." + key) + "[" + std::to_string(i) + "]", file_);
    seen_->children.push_back(children.back());
  }
  return children;
}

void ConfigTable::reject_unknown() const {
  if (table_)
    for (const auto& [key, node] : *table_) {
      const std::string name(key.str());
      if (seen_->keys.contains(name)) continue;
      const std::vector<std::string> known(seen_->keys.begin(), seen_->keys.end());
      std::string listed;
      for (const std::string& word : known) listed += (listed.empty() ? "" : ", ") + word;
      throw Error(ErrorKind::config_invalid, {where(name) + " is not a key of " + (path_.empty() ? "the file" : "[" + path_ + "]"),
                                              listed, name, did_you_mean(name, known, "remove it")});
    }
  for (const ConfigTable& child : seen_->children) child.reject_unknown();
}

ConfigFile ConfigFile::parse(std::string_view text, const std::string& name, const std::vector<std::string>& overrides) {
  ConfigFile file;
  file.name_ = name;
  file.folder_ = std::filesystem::path(name).parent_path();
  if (const auto at = stray_character(text))
    throw Error(ErrorKind::config_invalid,
                {name + ":" + std::to_string(1 + std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(*at), '\n')) +
                     " has a character beyond ASCII outside quotes",
                 "ASCII keys and values, or quotes around others", "", "put the text between quotes"});
  try {
    file.document_ = std::make_shared<toml::table>(toml::parse(text, name));
  } catch (const toml::parse_error& failure) {
    const auto begin = failure.source().begin;
    throw Error(ErrorKind::config_invalid,
                {name + ":" + std::to_string(begin.line) + ":" + std::to_string(begin.column) + " is not valid TOML", "TOML 1.0",
                 std::string(failure.description()), "correct this line"});
  }
  for (const std::string& assignment : overrides) apply_override(*file.document_, assignment);
  return file;
}

ConfigFile ConfigFile::read(const std::filesystem::path& file, const std::vector<std::string>& overrides) {
  ConfigFile document = parse(read_file(file), file.string());
  document.lay_over_base(0);
  for (const std::string& assignment : overrides) apply_override(*document.document_, assignment);
  return document;
}

void ConfigFile::lay_over_base(int depth) {
  if (!document_->contains("base")) return;
  const ConfigTable table = root();
  if (depth >= kMostBases)
    throw Error(ErrorKind::config_invalid,
                {table.where("base"), "files that stand on at most " + std::to_string(kMostBases) + " others", "more",
                 "let no file stand on itself"});
  const std::filesystem::path named = table.text("base");
  const std::filesystem::path file = named.is_absolute() ? named : folder_ / named;
  ConfigFile below = parse(read_file(file), file.string());
  below.lay_over_base(depth + 1);
  document_->erase("base");
  complete(*document_, *below.document_);
}

ConfigTable ConfigFile::root() const { return {document_.get(), "", name_}; }

}  // namespace retain::framework
