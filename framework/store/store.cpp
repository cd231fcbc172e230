// SPDX-License-Identifier: Apache-2.0
#include "framework/store/store.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <limits>

#include "framework/base/json.h"
#include "framework/store/history.h"
#include "framework/store/refs.h"

namespace retain::framework {
namespace {

constexpr std::string_view kFormat = "retain store 1";
constexpr std::size_t kShortestPrefix = 6;

void check_format(const std::filesystem::path& file) {
  const json::value value = read_json(file, ErrorKind::store_invalid);
  const json::object* object = value.if_object();
  const json::value* format = object ? object->if_contains("format") : nullptr;
  if (format && *format == json::value(kFormat)) return;
  throw Error(ErrorKind::store_invalid,
              {file.string() + " is of a format this version does not know", std::string(kFormat),
               json::serialize(value).substr(0, 80), "use a newer Retain, or name another folder"});
}

bool holds_only_ours(const std::filesystem::path& root) {
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    if (name != "stages" && name != "refs" && name != "progress" && name != "results" && name != "log" &&
        name != "temporary" && name != "lock")
      return false;
  }
  return true;
}

/// Splits "name~3" into name and 3.
std::pair<std::string, int> split_generations(const std::string& words) {
  const std::size_t tilde = words.rfind('~');
  if (tilde == std::string::npos) return {words, 0};
  const std::string digits = words.substr(tilde + 1);
  if (digits.empty()) return {words.substr(0, tilde), 1};
  if (digits.size() > 6 || digits.find_first_not_of("0123456789") != std::string::npos)
    throw Error(ErrorKind::store_unknown_stage, {"\"" + words + "\" is no stage", "a number after \"~\"", digits, {}});
  return {words.substr(0, tilde), std::stoi(digits)};
}

std::string named(const Store& store) {
  std::string list;
  std::vector<std::string> damaged;  // not what was asked about
  for (const Ref& ref : refs_of(store, &damaged)) list += (list.empty() ? "" : ", ") + ref.name;
  return list.empty() ? "an empty store" : list;
}

std::string find_by_prefix(const Store& store, const std::string& prefix) {
  std::string found;
  for (const std::string& id : store.stage_ids()) {
    if (!id.starts_with(prefix)) continue;
    if (!found.empty())
      throw Error(ErrorKind::store_unknown_stage,
                  {"\"" + prefix + "\" begins several stage ids", "more digits", found + ", " + id, {}});
    found = id;
  }
  return found;
}

}  // namespace

bool Store::is_store(const Path& root) {
  std::error_code code;
  return std::filesystem::is_regular_file(root / "store.json", code);
}

Store Store::open(const Path& root, FileOperations& operations) {
  if (!is_store(root))
    throw Error(ErrorKind::store_invalid, {root.string() + " is not a store",
                                           "a folder with store.json",
                                           {},
                                           "check the path; `retain import` and `retain run` create stores"});
  check_format(root / "store.json");
  return Store(root, operations);
}

Store Store::open_or_create(const Path& root, FileOperations& operations) {
  if (is_store(root)) return open(root, operations);
  std::error_code code;
  if (std::filesystem::exists(root, code) && (!std::filesystem::is_directory(root, code) || !holds_only_ours(root)))
    throw Error(ErrorKind::store_invalid, {root.string() + " exists and is not a store",
                                           "a store, an empty folder or none",
                                           {},
                                           "name another path in [store]"});
  std::filesystem::create_directories(std::filesystem::absolute(root).parent_path(), code);
  operations.make_directory(root);
  for (const char* folder : {"stages", "refs", "refs/heads", "refs/tags", "progress", "results", "log", "temporary"})
    operations.make_directory(root / folder);
  operations.sync_directory(root / "refs");
  operations.sync_directory(root);
  // The marker comes last: without it the folder is not a store, and creating it begins again.
  const Store store(root, operations);
  write_atomically(operations, root / store.temporary_name("marker"), root / "store.json",
                   pretty(json::object{{"format", kFormat}}));
  operations.sync_directory(std::filesystem::absolute(root).parent_path());
  return store;
}

bool Store::has_stage(const std::string& id) const {
  std::error_code code;
  return is_digest(id) && std::filesystem::is_regular_file(std::filesystem::symlink_status(stage_path(id), code));
}

std::vector<std::string> Store::stage_ids() const {
  std::vector<std::string> ids;
  for (const std::string& file : files_in(root_ / "stages"))
    if (file.ends_with(".h5") && is_digest(file.substr(0, file.size() - 3)))
      ids.push_back(file.substr(0, file.size() - 3));
  return ids;
}

std::string Store::resolve(const std::string& words) const {
  const auto [name, generations] = split_generations(words);
  std::string id;
  if (const auto ref = find_ref(*this, name))
    id = ref->stage;
  else if (has_stage(name))
    id = name;
  else if (name.size() >= kShortestPrefix && name.find_first_not_of("0123456789abcdef") == std::string::npos)
    id = find_by_prefix(*this, name);
  if (id.empty())
    throw Error(ErrorKind::store_unknown_stage,
                {root_.string() + " has no stage \"" + name + "\"", "a branch, a tag or a stage id", named(*this),
                 "`retain store log` lists all stages"});
  const ParentsOfStages pruned = generations > 0 ? pruned_stages(*this) : ParentsOfStages();
  for (int i = 0; i < generations; ++i) {
    const auto parents = parents_of(*this, pruned, id);
    if (!parents)
      throw Error(
          ErrorKind::store_unknown_stage,
          {"\"" + words + "\" goes back beyond a stage that is gone", "the file or a note of stage " + id, {}, {}});
    if (parents->empty())
      throw Error(ErrorKind::store_unknown_stage, {"\"" + words + "\" goes back before the first stage",
                                                   {},
                                                   std::to_string(i) + " ancestors of \"" + name + "\"",
                                                   {}});
    id = parents->front();
  }
  if (generations > 0 && !has_stage(id))
    throw Error(ErrorKind::store_unknown_stage, {"\"" + words + "\" is no longer in the store",
                                                 {},
                                                 "stage " + id + ", which gc removed",
                                                 "name another stage"});
  return id;
}

std::string Store::temporary_name(const std::string& purpose) const {
  static std::atomic<unsigned> counter = 0;  // two names asked for in one clock tick
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return "temporary/" + purpose + "-" + std::to_string(::getpid()) + "-" + std::to_string(now) + "-" +
         std::to_string(counter++);
}

bool is_plain_name(const std::string& name, std::size_t longest) {
  return !name.empty() && name.size() <= longest && name[0] != '.' &&
         std::all_of(name.begin(), name.end(), [](unsigned char letter) {
           return std::isalnum(letter) || letter == '.' || letter == '_' || letter == '-';
         });
}

void require_plain_name(const std::string& name, const std::string& what) {
  if (is_plain_name(name)) return;
  throw Error(ErrorKind::usage, {what + " \"" + name + "\" cannot be used",
                                 "letters, digits, \".\", \"_\" and \"-\", not starting with a dot, 120 at most",
                                 {},
                                 "choose another name"});
}

std::vector<std::string> files_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code code;
  for (std::filesystem::directory_iterator at(folder, code), end; !code && at != end; at.increment(code)) {
    std::error_code ignored;
    if (at->is_regular_file(ignored)) names.push_back(at->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace retain::framework
