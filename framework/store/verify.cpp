// SPDX-License-Identifier: Apache-2.0
#include "framework/store/verify.h"

#include <algorithm>

#include "framework/store/progress.h"
#include "framework/store/pruned.h"
#include "framework/store/refs.h"
#include "framework/store/results.h"
#include "framework/store/stage_reader.h"

namespace retain::framework {
namespace {

/// Runs `action`; what it throws becomes a problem.
void check(VerifyReport& report, const std::string& where, const std::function<void()>& action) {
  try {
    action();
  } catch (const std::exception& error) {
    report.problems.push_back(where + ": " + error.what());
  }
}

void check_arrays(VerifyReport& report, const std::string& where, const StageFile& file) {
  check(report, where, [&] { file.check_skeleton(); });
  for (const ArrayEntry& array : file.manifest().arrays) {
    if (!array.here()) continue;
    for (std::uint64_t block = 0; block < array.spec.blocks(); ++block)
      check(report, where, [&] { file.check_block(array, block); });
  }
  report.bytes += file.bytes_read();
}

/// A ref stands where its last logged move led, or where it came from when a stop prevented that move.
bool is_logged(const Ref& ref, const std::vector<RefMove>& moves) {
  const auto last = std::find_if(moves.rbegin(), moves.rend(),
                                 [&](const RefMove& move) { return move.kind == ref.kind && move.name == ref.name; });
  return last != moves.rend() && (last->to == ref.stage || last->from == ref.stage);
}

void check_refs(VerifyReport& report, const Store& store) {
  std::size_t damaged = 0;
  std::vector<RefMove> moves;
  check(report, "log/refs.jsonl", [&] { moves = ref_moves(store, &damaged); });
  if (damaged > 0) report.problems.push_back("log/refs.jsonl has " + std::to_string(damaged) + " damaged lines");
  check(report, "log/pruned.jsonl", [&] { pruned_stages(store, &damaged); });
  if (damaged > 0) report.problems.push_back("log/pruned.jsonl has " + std::to_string(damaged) + " damaged lines");
  check(report, "refs", [&] {
    for (const Ref& ref : refs_of(store, &report.problems)) {
      if (!store.has_stage(ref.stage))
        report.problems.push_back("ref " + ref.name + " names stage " + ref.stage + ", which is not in the store");
      else if (!is_logged(ref, moves))
        report.problems.push_back("log/refs.jsonl has lost the move of ref " + ref.name + " to stage " + ref.stage);
    }
  });
}

}  // namespace

VerifyReport verify(const Store& store, const std::function<void(const std::string&)>& progress) {
  VerifyReport report;
  check_refs(report, store);
  for (const std::string& id : store.stage_ids()) {
    if (progress) progress(id);
    ++report.stages;
    check(report, "stage " + id, [&] {
      const StageReader reader(store, id);  // checks the links
      check_arrays(report, "stage " + id, reader.file());
    });
  }
  for (const std::string& run : progress_runs(store))
    for (const std::int64_t step : progress_steps(store, run)) {
      ++report.checkpoints;
      const std::string where = "checkpoint " + run + ", step " + std::to_string(step);
      check(report, where, [&] { check_arrays(report, where, *open_progress(store, run, step)); });
    }
  for (const std::string& key : result_keys(store)) {
    ++report.results;
    check(report, "result " + key, [&] { get_result(store, key); });
  }
  return report;
}

}  // namespace retain::framework
