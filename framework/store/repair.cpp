// SPDX-License-Identifier: Apache-2.0
#include "framework/store/repair.h"

#include <fcntl.h>

#include <algorithm>
#include <set>

#include "framework/store/history.h"
#include "framework/store/refs.h"
#include "framework/store/stage_reader.h"

namespace retain::framework {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{8} << 20;

/// Every bit of one stage's file; links are not followed.
bool is_intact(const Store& store, const std::string& id) {
  try {
    open_stage_file(store, id)->check_all();
    return true;
  } catch (const Error&) {
    return false;
  }
}

void copy_stage(const Store& from, const Store& to, const std::string& id) {
  FileOperations& operations = to.operations();
  const File source(from.operations(), from.stage_path(id), O_RDONLY);
  const std::filesystem::path fresh = to.root() / to.temporary_name("repair-" + id);
  File target(operations, fresh, O_WRONLY | O_CREAT | O_EXCL);
  const std::uint64_t bytes = source.bytes();
  target.resize(bytes);
  target.reserve(bytes);
  std::vector<std::byte> piece(kPieceBytes);
  for (std::uint64_t at = 0; at < bytes; at += kPieceBytes) {
    const std::span<std::byte> part = std::span(piece).first(static_cast<std::size_t>(std::min<std::uint64_t>(kPieceBytes, bytes - at)));
    source.read(part, at);
    target.write(part, at);
  }
  target.sync();
  target.close();
  operations.rename(fresh, to.stage_path(id));
  operations.sync_directory(to.root() / "stages");
}

/// Stages that intact files name as parents or holders, and those of the refs.
std::set<std::string> named_stages(const Store& store, std::vector<std::string>& damaged_refs) {
  std::set<std::string> named;
  damaged_refs.clear();
  for (const Ref& ref : refs_of(store, &damaged_refs)) named.insert(ref.stage);
  for (const std::string& id : store.stage_ids()) {
    try {
      named.merge(holders_of(store, id));
    } catch (const Error&) {
      named.insert(id);
    }
  }
  return named;
}

}  // namespace

RepairReport repair(const Store& store, const StoreLock& lock, const Store& copy) {
  lock.check(store);
  RepairReport report;
  // A stage that comes back may name others that are gone too.
  for (bool again = true; again;) {
    again = false;
    std::set<std::string> wanted = named_stages(store, report.damaged_refs);
    for (const std::string& id : store.stage_ids()) wanted.insert(id);
    for (const std::string& id : wanted) {
      const auto known = [&](const std::vector<std::string>& ids) { return std::find(ids.begin(), ids.end(), id) != ids.end(); };
      if (known(report.restored) || known(report.irreparable) || is_intact(store, id)) continue;
      if (!copy.has_stage(id) || !is_intact(copy, id)) {
        report.irreparable.push_back(id);
        continue;
      }
      copy_stage(copy, store, id);
      report.restored.push_back(id);
      again = true;
    }
  }
  return report;
}

}  // namespace retain::framework
