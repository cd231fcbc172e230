// SPDX-License-Identifier: Apache-2.0
#include "framework/store/gc.h"

#include <sys/stat.h>

#include "framework/store/history.h"

namespace retain::framework {
namespace {

std::uint64_t disk_bytes(const std::filesystem::path& file) {
  struct stat found {};
  return ::lstat(file.c_str(), &found) == 0 ? static_cast<std::uint64_t>(found.st_blocks) * 512 : 0;
}

}  // namespace

GcReport collect_garbage(const Store& store, const StoreLock& lock, const GcOptions& options) {
  lock.check(store);
  const std::set<std::string> needed =
      options.rules.any() ? retained(store, options.rules) : reachable(store, options.keep_undo);
  GcReport report;
  for (const std::string& id : store.stage_ids()) {
    if (needed.contains(id)) continue;
    report.stages.push_back(id);
    report.bytes += disk_bytes(store.stage_path(id));
  }
  for (const std::string& name : files_in(store.root() / "temporary")) {
    report.temporaries.push_back(store.root() / "temporary" / name);
    report.bytes += disk_bytes(report.temporaries.back());
  }
  if (options.dry_run) return report;
  FileOperations& operations = store.operations();
  for (const std::string& id : report.stages) operations.remove(store.stage_path(id));
  for (const auto& file : report.temporaries) operations.remove(file);
  if (!report.stages.empty()) operations.sync_directory(store.root() / "stages");
  return report;
}

}  // namespace retain::framework
