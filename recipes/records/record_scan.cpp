// SPDX-License-Identifier: Apache-2.0
// Lengths and faults of all records, shared out over the ranks and summed.
#include "recipes/records/record_scan.h"

#include <ATen/ATen.h>

#include "framework/base/error.h"

namespace retain::recipes {

using framework::Error;
using framework::ErrorKind;

namespace {

constexpr std::int64_t kBad = -1;       // stands in the token column of a record that cannot be used
constexpr std::int64_t kTooLong = -2;   // and of one that is too long
constexpr int kNamed = 5;               // left-out records a rank names in the log

/// Looks at one record, unless its size is `known`; the token column says what became of it.
RecordSize look_at(const SampleSource& source, std::int64_t record, const ScanRules& rules, RecordSize known, std::string& reason) {
  RecordSize size = known;
  try {
    if (known.tokens <= 0) {
      const models::Sample sample = source.sample(record, /*with_pixels=*/false);
      size = {static_cast<std::int64_t>(sample.ids.size()), sample.answers()};
    }
    if (size.answers == 0)
      throw Error(ErrorKind::data_no_answer, {source.where(record) + " has no answer to learn from",
                                              "at least one trained token", "none", "remove the record"});
  } catch (const Error& error) {
    if (rules.bad_records == OnBad::stop) throw;
    reason = error.what();
    return {kBad, 0};
  }
  if (rules.max_length == 0 || size.tokens <= rules.max_length) return size;
  if (rules.over_length == OnBad::stop)
    throw Error(ErrorKind::data_invalid, {source.where(record) + " is too long",
                                          "at most " + std::to_string(rules.max_length) + " tokens",
                                          std::to_string(size.tokens) + " tokens",
                                          "raise train.max_length, or set train.over_length = \"skip\""});
  reason = source.where(record) + " has " + std::to_string(size.tokens) + " tokens, more than train.max_length = " +
           std::to_string(rules.max_length);
  return {kTooLong, 0};
}

/// Sizes as the table has them, for the next scan; what was left out is looked at again.
std::vector<RecordSize> sizes_in(const std::int64_t* cells, std::int64_t records) {
  std::vector<RecordSize> sizes;
  for (std::int64_t record = 0; record < records; ++record) {
    const std::int64_t tokens = cells[2 * record];
    sizes.push_back(tokens < 0 ? RecordSize{kBad, 0} : RecordSize{tokens, cells[2 * record + 1]});
  }
  return sizes;
}

}  // namespace

RecordScan scan_records(const SampleSource& source, parallel::Communicator& world, const ScanRules& rules,
                        const framework::Log& log) {
  const std::int64_t records = source.size();
  at::Tensor table = at::zeros({records, 2}, at::kLong);
  auto* cells = table.data_ptr<std::int64_t>();
  const std::filesystem::path file = source.lengths();
  const auto kept = read_lengths(file, records);
  int named = 0;
  for (std::int64_t record = world.rank(); record < records; record += world.size()) {
    std::string reason;
    const RecordSize size = look_at(source, record, rules, kept ? kept->at(static_cast<std::size_t>(record)) : RecordSize{}, reason);
    cells[2 * record] = size.tokens;
    cells[2 * record + 1] = size.answers;
    if (!reason.empty() && named++ < kNamed) log.warn("left out: " + reason);
  }
  if (records > 0) world.all_reduce(table);
  if (!kept && !file.empty() && world.rank() == 0) write_lengths(file, sizes_in(cells, records));
  RecordScan scan;
  scan.sizes.resize(static_cast<std::size_t>(records));
  for (std::int64_t record = 0; record < records; ++record) {
    const std::int64_t tokens = cells[2 * record];
    scan.bad += tokens == kBad;
    scan.over_length += tokens == kTooLong;
    if (tokens < 0) continue;
    scan.sizes[static_cast<std::size_t>(record)] = {tokens, cells[2 * record + 1]};
    scan.usable.push_back(record);
  }
  if (scan.bad + scan.over_length > 0)
    log.info(std::to_string(scan.bad) + " unusable and " + std::to_string(scan.over_length) +
             " over-length records of " + std::to_string(records) + " are left out");
  if (scan.usable.empty())
    throw Error(ErrorKind::data_empty, {"no record of the task can be trained on", "at least one usable record",
                                        std::to_string(scan.bad) + " unusable and " + std::to_string(scan.over_length) +
                                            " over-length of " + std::to_string(records),
                                        "look at the records named above"});
  return scan;
}

}  // namespace retain::recipes
