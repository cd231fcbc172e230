// SPDX-License-Identifier: Apache-2.0
// One look at every record before training: its packed length and its terms of the loss, so that batches, steps and token
// counts are known on every rank, and records that cannot be used are found first.
#pragma once
#include <cstdint>
#include <vector>

#include "framework/base/log.h"
#include "parallel/comm/communicator.h"
#include "recipes/records/record_lengths.h"
#include "recipes/records/sample_source.h"
#include "recipes/settings/train_settings.h"

namespace retain::recipes {

struct RecordScan {
  std::vector<RecordSize> sizes;      ///< by record; zero where unusable
  std::vector<std::int64_t> usable;   ///< record indices, ascending
  std::int64_t over_length = 0;       ///< records left out because they are longer than max_length
  std::int64_t bad = 0;               ///< records left out because they cannot be used at all
};

struct ScanRules {
  std::int64_t max_length = 0;        ///< tokens; 0: no limit
  OnBad over_length = OnBad::skip;
  OnBad bad_records = OnBad::stop;
};

/// Collective over `world`: its ranks share the records. Lengths that the source keeps a file of are not counted again.
/// The same result on every rank, whatever their number. Records left out are named in the log (the first few of them)
/// and counted. Throws the error of a bad record, or Error(data_invalid) for one that is too long, on the rank that met
/// it, where the rules say stop; Error(data_empty) when none is left.
RecordScan scan_records(const SampleSource& source, parallel::Communicator& world, const ScanRules& rules,
                        const framework::Log& log);

}  // namespace retain::recipes
