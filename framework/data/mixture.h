// SPDX-License-Identifier: Apache-2.0
// Sampling strategies of a mixture: which records of a data file take part, and in what order.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace retain::framework {

enum class MixtureMode : std::uint8_t {
  clean,    ///< a sampling strategy that cannot be read is an error
  faithful  ///< as LMM_CL's llava/train/train.py: a range that is crossed or cannot be read means all records, `end:0` too
};

/// Indices that `strategy` takes of a file with `records` records:
///   all | first:N | end:N | random:N | random | first:A-first:B | end:A-end:B | first:A-end:B
/// where N is a count or a percentage "P%" (rounded up), both limited to the file. `first:A-first:B` is [A, B),
/// `end:A-end:B` is [n-A, n-B), `first:A-end:B` is [A, n-B). Random choices come from stream `stream` of `seed`.
/// Throws Error(data_invalid) when the strategy cannot be read or, in clean mode, its range cannot be read or is crossed.
std::vector<std::int64_t> sample_records(std::string_view strategy, std::int64_t records, MixtureMode mode,
                                         std::uint64_t seed, std::string_view stream);

}  // namespace retain::framework
