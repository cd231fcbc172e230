// SPDX-License-Identifier: Apache-2.0
// Which records each optimizer step sees: a function of seed, epoch and step alone, never of the number of ranks.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace retain::framework {

/// A place in the data: the next step to take.
struct Cursor {
  std::int64_t epoch = 0;
  std::int64_t step = 0;  ///< within the epoch

  /// "epoch 1 step 20"
  std::string to_string() const;
  /// The inverse. Throws Error(data_invalid).
  static Cursor parse(std::string_view text);
  friend bool operator==(const Cursor&, const Cursor&) = default;
};

struct SamplerOptions {
  std::uint64_t seed = 0;
  std::string stream = "data";   ///< name of the random stream; give each task its own
  bool shuffle = true;           ///< false: file order
  bool keep_incomplete = false;  ///< true: the last, smaller batch of an epoch is used
  std::int64_t global_batch = 1;
};

/// Splits the order of an epoch into global batches.
class Sampler {
 public:
  /// `records`: the usable indices of a RecordSet. Throws Error(config_invalid) unless global_batch is positive and an
  /// epoch has at least one step.
  Sampler(std::vector<std::int64_t> records, SamplerOptions options);

  std::int64_t steps_per_epoch() const noexcept { return steps_; }
  /// Records left out of each epoch because the last batch would be incomplete.
  std::int64_t dropped_per_epoch() const noexcept;
  /// The order of one epoch, whole.
  std::vector<std::int64_t> order(std::int64_t epoch) const;
  /// Record indices of one global batch. Throws Error(internal) when the step is outside the epoch.
  std::vector<std::int64_t> batch(const Cursor& cursor) const;
  /// The step after `cursor`, in the next epoch where one ends.
  Cursor next(Cursor cursor) const;
  /// The cursor `steps` optimizer steps after the start.
  Cursor at(std::int64_t steps) const;

 private:
  std::vector<std::int64_t> records_;
  SamplerOptions options_;
  std::int64_t steps_ = 0;
};

/// The order of LMM_CL's length-grouped sampler (paper facts 1.3): a random order cut into groups of
/// `ranks`×`per_rank` records, each group sorted by falling length and dealt out to the ranks so that their sums are
/// even. `lengths` are whitespace word counts; the random order is our own stream, not torch's.
std::vector<std::int64_t> length_grouped_order(const std::vector<std::int64_t>& lengths, std::int64_t ranks,
                                               std::int64_t per_rank, std::uint64_t seed, std::string_view stream);

}  // namespace retain::framework
