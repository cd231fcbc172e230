// SPDX-License-Identifier: Apache-2.0
#include "framework/store/progress.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace retain::framework {
namespace {

std::filesystem::path folder_of(const Store& store, const std::string& run_key) {
  require_plain_name(run_key, "run key");
  return store.root() / "progress" / run_key;
}

std::string file_name(std::int64_t step) {
  char name[40];
  std::snprintf(name, sizeof name, "step-%012lld.h5", static_cast<long long>(step));
  return name;
}

std::optional<std::int64_t> step_of(const std::string& file) {
  if (!file.starts_with("step-") || !file.ends_with(".h5") || file.size() < 20 || file.size() > 27) return std::nullopt;
  const std::string digits = file.substr(5, file.size() - 8);
  if (digits.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  const std::int64_t step = std::stoll(digits);
  return file == file_name(step) ? std::optional(step) : std::nullopt;
}

std::string line_of(const ErrorParts& parts) {
  return parts.what + (parts.expected.empty() ? "" : "; expected: " + parts.expected) +
         (parts.found.empty() ? "" : "; found: " + parts.found);
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "\n") + line;
  return text;
}

}  // namespace

std::vector<std::int64_t> progress_steps(const Store& store, const std::string& run_key) {
  std::vector<std::int64_t> steps;
  for (const std::string& file : files_in(folder_of(store, run_key)))
    if (const auto step = step_of(file)) steps.push_back(*step);
  std::sort(steps.begin(), steps.end());
  return steps;
}

std::unique_ptr<const StageFile> open_progress(const Store& store, const std::string& run_key, std::int64_t step) {
  return std::make_unique<const StageFile>(store.operations(), folder_of(store, run_key) / file_name(step));
}

void PassedOver::require_readable() const {
  if (unreadable == 0) return;
  throw Error(ErrorKind::io, {"no checkpoint of the stage can be used, and " + std::to_string(unreadable) + " of " +
                                  std::to_string(damaged.size()) + " cannot be read",
                              "one that is intact", joined(damaged),
                              "see to the disk and give the command again; where these files are lost, remove them, "
                              "and the stage starts over"});
}

LatestProgress newest_intact(const std::vector<std::int64_t>& steps, const std::function<void(std::int64_t step)>& check) {
  LatestProgress latest;
  for (auto step = steps.rbegin(); step != steps.rend(); ++step) {
    try {
      check(*step);
      latest.step = *step;
      return latest;
    } catch (const Error& error) {
      const bool unreadable = error.kind() == ErrorKind::io;
      if (!unreadable && error.kind() != ErrorKind::store_invalid && error.kind() != ErrorKind::store_digest) throw;
      latest.passed.damaged.push_back(line_of(error.parts()));
      latest.passed.unreadable += unreadable;
    }
  }
  return latest;
}

LatestProgress latest_progress(const Store& store, const std::string& run_key) {
  return newest_intact(progress_steps(store, run_key),
                       [&](std::int64_t step) { open_progress(store, run_key, step)->check_all(); });
}

ProgressCommit::ProgressCommit(const Store& store, const StoreLock& lock, const std::string& run_key, std::int64_t step,
                               StageDraft draft)
    : store_(store), run_key_(run_key), step_(step) {
  lock.check(store);
  if (step < 0) throw Error(ErrorKind::internal, "a checkpoint of step " + std::to_string(step));
  if (store.operations().make_directory(folder_of(store, run_key)))
    store.operations().sync_directory(store.root() / "progress");
  Manifest manifest{"progress", std::move(draft.parents), std::move(draft.inputs), std::move(draft.info), {}};
  for (ArraySpec& spec : draft.arrays) {
    if (!is_array_path(spec.path) || spec.path == "manifest")
      throw Error(ErrorKind::internal, "\"" + spec.path + "\" cannot name an array in a checkpoint");
    manifest.arrays.push_back({std::move(spec), {}, {}, 0, {}});
  }
  writer_ = std::make_unique<StageFileWriter>(store.operations(), store.root(), store.temporary_name("progress"),
                                              std::move(manifest));
}

void ProgressCommit::publish(const std::vector<std::vector<Digest>>& blocks, std::size_t keep) {
  writer_->finish(blocks);
  FileOperations& operations = store_.operations();
  const std::filesystem::path folder = folder_of(store_, run_key_);
  operations.rename(store_.root() / writer_->layout().file, folder / file_name(step_));
  operations.sync_directory(folder);
  const std::vector<std::int64_t> steps = progress_steps(store_, run_key_);
  const auto own = std::find(steps.begin(), steps.end(), step_);
  const auto kept = own - std::min<std::ptrdiff_t>(own - steps.begin(), static_cast<std::ptrdiff_t>(std::max<std::size_t>(keep, 1)) - 1);
  for (auto step = steps.begin(); step != steps.end(); ++step)
    if (step < kept || step > own) operations.remove(folder / file_name(*step));
}

void clear_progress(const Store& store, const StoreLock& lock, const std::string& run_key) {
  lock.check(store);
  const std::filesystem::path folder = folder_of(store, run_key);
  if (!std::filesystem::exists(folder)) return;
  for (const std::int64_t step : progress_steps(store, run_key)) store.operations().remove(folder / file_name(step));
  if (files_in(folder).empty()) store.operations().remove_directory(folder);
  store.operations().sync_directory(store.root() / "progress");
}

std::vector<std::string> progress_runs(const Store& store) {
  std::vector<std::string> runs;
  std::error_code code;
  for (std::filesystem::directory_iterator at(store.root() / "progress", code), end; !code && at != end;
       at.increment(code)) {
    const std::string name = at->path().filename().string();
    if (is_plain_name(name) && !progress_steps(store, name).empty()) runs.push_back(name);
  }
  std::sort(runs.begin(), runs.end());
  return runs;
}

}  // namespace retain::framework
