// SPDX-License-Identifier: Apache-2.0
#include "framework/store/refs.h"

#include <fcntl.h>

#include <utility>

#include "framework/base/json.h"
#include "framework/store/clock.h"
#include "framework/store/digest.h"
#include "framework/store/line_log.h"

namespace retain::framework {
namespace {

std::filesystem::path folder_of(const Store& store, RefKind kind) {
  return store.root() / "refs" / (kind == RefKind::branch ? "heads" : "tags");
}

std::string_view name_of(RefKind kind) {
  return kind == RefKind::branch ? "branch" : "tag";
}

std::filesystem::path log_path(const Store& store) {
  return store.root() / "log" / "refs.jsonl";
}

/// Where the log says a ref stands; empty when it says nothing.
std::string last_logged(const Store& store, RefKind kind, const std::string& name) {
  std::string last;
  for (const RefMove& move : ref_moves(store))
    if (move.kind == kind && move.name == name) last = move.to;
  return last;
}

/// What a user does about a damaged ref, in the words of the command.
std::string way_back(const Store& store, RefKind kind, const std::string& name) {
  const std::string last = last_logged(store, kind, name);
  const std::string stage = last.empty() ? "STAGE" : last;
  const std::string command = "retain store ", of_ref = " " + store.root().string() + " " + name;
  return (last.empty() ? "the log knows no value" : "the log's last value is " + last) + ": " +
         (kind == RefKind::tag ? "`" + command + "tag" + of_ref + " --delete`, then `" + command + "tag" + of_ref + " " + stage + "`"
                               : "`" + command + "rollback" + of_ref + " " + stage + "`");
}

std::string read_target(const Store& store, RefKind kind, const std::string& name) {
  const std::filesystem::path path = folder_of(store, kind) / name;
  const File file(store.operations(), path, O_RDONLY | O_NONBLOCK);
  std::string text(std::min<std::uint64_t>(file.bytes(), 64), '\0');
  file.read(std::as_writable_bytes(std::span(text)), 0);
  if (text.size() == 33 && text.back() == '\n' && is_digest(text.substr(0, 32))) return text.substr(0, 32);
  throw Error(ErrorKind::store_invalid, {"the " + std::string(name_of(kind)) + " file " + path.string() + " is damaged",
                                         "a stage id", "other bytes", way_back(store, kind, name)});
}

std::optional<RefMove> parse_move(const std::string& logged) {
  try {
    const json::value value = parse_json(logged, "the log of refs", ErrorKind::store_invalid);
    const auto text = [&](const char* key) { return std::string(value.at(key).as_string()); };
    return RefMove{text("time"), text("kind") == "tag" ? RefKind::tag : RefKind::branch,
                   text("name"), text("from"),
                   text("to"),   text("why")};
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

void append(const Store& store, const RefMove& move) {
  json::object object;
  object["time"] = move.time;
  object["kind"] = name_of(move.kind);
  object["name"] = move.name;
  object["from"] = move.from;
  object["to"] = move.to;
  object["why"] = move.why;
  append_to_line_log(store, log_path(store), json::serialize(object));
}

/// Empty for a damaged ref: moving or removing it is its repair.
std::string target_unless_damaged(const Store& store, RefKind kind, const std::string& name) {
  try {
    return read_target(store, kind, name);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::store_invalid) throw;
    return {};
  }
}

bool exists(const Store& store, RefKind kind, const std::string& name) {
  std::error_code code;
  return std::filesystem::is_regular_file(folder_of(store, kind) / name, code);
}

}  // namespace

std::vector<Ref> refs_of(const Store& store, std::vector<std::string>* damaged) {
  std::vector<Ref> refs;
  for (const RefKind kind : {RefKind::branch, RefKind::tag})
    for (const std::string& name : files_in(folder_of(store, kind))) {
      if (!is_plain_name(name)) continue;
      try {
        refs.push_back({kind, name, read_target(store, kind, name)});
      } catch (const Error& error) {
        if (!damaged || error.kind() != ErrorKind::store_invalid) throw;
        damaged->emplace_back(error.what());
      }
    }
  return refs;
}

std::optional<Ref> find_ref(const Store& store, const std::string& name) {
  if (!is_plain_name(name)) return std::nullopt;
  for (const RefKind kind : {RefKind::branch, RefKind::tag})
    if (exists(store, kind, name)) return Ref{kind, name, read_target(store, kind, name)};
  return std::nullopt;
}

std::vector<RefMove> ref_moves(const Store& store, std::size_t* damaged) {
  std::vector<RefMove> moves;
  for (const std::string& text : read_line_log(log_path(store), damaged)) {
    if (auto move = parse_move(text))
      moves.push_back(std::move(*move));
    else if (damaged)
      ++*damaged;
  }
  return moves;
}

void move_ref(const Store& store, const StoreLock& lock, RefKind kind, const std::string& name,
              const std::string& stage, const std::string& why) {
  lock.check(store);
  require_plain_name(name, kind == RefKind::branch ? "branch" : "tag");
  if (!store.has_stage(stage))
    throw Error(ErrorKind::store_unknown_stage, store.root().string() + " has no stage " + stage);
  const StoreTurn turn(lock);
  std::string from;
  if (exists(store, kind, name)) {
    if (kind == RefKind::tag)
      throw Error(ErrorKind::usage, {"tag " + name + " exists",
                                     "a new name: tags do not move",
                                     {},
                                     "remove it first with `retain store tag --delete`"});
    from = target_unless_damaged(store, kind, name);
  }
  if (from == stage) return;
  append(store, {time_text(), kind, name, from, stage, why});
  write_atomically(store.operations(), store.root() / store.temporary_name("ref"), folder_of(store, kind) / name,
                   stage + "\n");
}

void remove_ref(const Store& store, const StoreLock& lock, RefKind kind, const std::string& name,
                const std::string& why) {
  lock.check(store);
  require_plain_name(name, kind == RefKind::branch ? "branch" : "tag");
  if (!exists(store, kind, name))
    throw Error(ErrorKind::store_unknown_stage, "there is no " + std::string(name_of(kind)) + " " + name);
  const StoreTurn turn(lock);
  std::string from = target_unless_damaged(store, kind, name);
  if (from.empty()) from = last_logged(store, kind, name);
  append(store, {time_text(), kind, name, from, "", why});
  store.operations().remove(folder_of(store, kind) / name);
  store.operations().sync_directory(folder_of(store, kind));
}

}  // namespace retain::framework
