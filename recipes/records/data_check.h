// SPDX-License-Identifier: Apache-2.0
// One look at whole data sets before anything is trained: every bad record by name, and how long the good ones are.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "framework/data/record_set.h"
#include "models/lmm/sample_builder.h"
#include "parallel/comm/communicator.h"
#include "recipes/settings/experiment.h"

namespace retain::recipes {

/// Of one number a record. All zero without records.
struct Distribution {
  std::int64_t least = 0;
  double mean = 0;
  std::int64_t median = 0;
  std::int64_t percentile_90 = 0;
  std::int64_t percentile_99 = 0;
  std::int64_t most = 0;
  std::int64_t total = 0;
};
/// Percentiles by the nearest rank. The order of `values` does not matter.
Distribution distribution_of(std::vector<std::int64_t> values);

struct BadRecord {
  std::string where;
  std::string kind;    ///< of the error
  std::string reason;
};

struct SetCheck {
  std::string kind;                     ///< task, benchmark, probe
  std::string name;
  std::int64_t records = 0;
  std::vector<BadRecord> bad;           ///< in order
  std::int64_t over_length = 0;         ///< usable but longer than train.max_length; tasks only
  Distribution pictures;                ///< a record
  Distribution tokens, answers, patches, visual_tokens;  ///< of usable records; zero without a model
  std::string lengths;                  ///< where they are kept; empty: nowhere
};

/// Collective over `world`, whose ranks share the records; the same result on all of them. Every task, benchmark and probe of the
/// experiment is read whole: its records are parsed and validated, with `decode` its pictures decoded, with a `builder` its texts
/// tokenised. Tasks' lengths are kept in the experiment's store, where it has one, for `retain run` to find. Throws what opening
/// a set throws: a file that is not there or cannot be read at all.
std::vector<SetCheck> check_data(const Experiment& experiment, const models::SampleBuilder* builder, bool decode,
                                 parallel::Communicator& world);

framework::json::array to_json(const std::vector<SetCheck>& checks);
/// A table a set, then its bad records, the first `named` of them. Ends with a newline.
std::string describe_checks(const std::vector<SetCheck>& checks, std::size_t named);

}  // namespace retain::recipes
