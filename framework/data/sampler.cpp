// SPDX-License-Identifier: Apache-2.0
// Seeded orders of records and their division into steps.
#include "framework/data/sampler.h"

#include <algorithm>
#include <cstdio>
#include <limits>
#include <utility>

#include "framework/base/error.h"
#include "framework/base/random.h"

namespace retain::framework {

std::string Cursor::to_string() const {
  return "epoch " + std::to_string(epoch) + " step " + std::to_string(step);
}

Cursor Cursor::parse(std::string_view text) {
  const std::string copy(text);
  long long epoch = 0;
  long long step = 0;
  Cursor cursor;
  if (std::sscanf(copy.c_str(), "epoch %lld step %lld", &epoch, &step) == 2) cursor = {epoch, step};
  if (cursor.to_string() != copy || cursor.epoch < 0 || cursor.step < 0)
    throw Error(ErrorKind::data_invalid, {"a position in the data cannot be read", "epoch E step S",
                                          copy.substr(0, 100), "resume from another checkpoint"});
  return cursor;
}

Sampler::Sampler(std::vector<std::int64_t> records, SamplerOptions options)
    : records_(std::move(records)), options_(std::move(options)) {
  if (options_.global_batch <= 0)
    throw Error(ErrorKind::config_invalid, {"train.global_batch is not positive", "1 or more",
                                            std::to_string(options_.global_batch), "choose a global batch"});
  const auto count = static_cast<std::int64_t>(records_.size());
  const std::int64_t whole = count / options_.global_batch;
  const bool incomplete = count % options_.global_batch != 0;
  steps_ = whole + (incomplete && options_.keep_incomplete ? 1 : 0);
  if (steps_ == 0)
    throw Error(ErrorKind::config_invalid,
                {"an epoch has no complete global batch", "at least train.global_batch usable records",
                 std::to_string(count) + " records, global batch " + std::to_string(options_.global_batch),
                 "lower train.global_batch, or keep the incomplete batch"});
}

std::int64_t Sampler::dropped_per_epoch() const noexcept {
  return std::max<std::int64_t>(0, static_cast<std::int64_t>(records_.size()) - steps_ * options_.global_batch);
}

std::vector<std::int64_t> Sampler::order(std::int64_t epoch) const {
  if (!options_.shuffle) return records_;
  Random random(options_.seed, options_.stream + "/epoch=" + std::to_string(epoch));
  auto order = random.permutation(static_cast<std::int64_t>(records_.size()));
  for (auto& item : order) item = records_[static_cast<std::size_t>(item)];
  return order;
}

std::vector<std::int64_t> Sampler::batch(const Cursor& cursor) const {
  if (cursor.epoch < 0 || cursor.step < 0 || cursor.step >= steps_)
    throw Error(ErrorKind::internal,
                cursor.to_string() + " lies outside epochs of " + std::to_string(steps_) + " steps");
  const auto all = order(cursor.epoch);
  const std::int64_t begin = cursor.step * options_.global_batch;
  const std::int64_t end = std::min(begin + options_.global_batch, static_cast<std::int64_t>(all.size()));
  return {all.begin() + begin, all.begin() + end};
}

Cursor Sampler::next(Cursor cursor) const {
  ++cursor.step;
  return cursor.step < steps_ ? cursor : Cursor{cursor.epoch + 1, 0};
}

Cursor Sampler::at(std::int64_t steps) const {
  return {steps / steps_, steps % steps_};
}

std::vector<std::int64_t> length_grouped_order(const std::vector<std::int64_t>& lengths, std::int64_t ranks,
                                               std::int64_t per_rank, std::uint64_t seed, std::string_view stream) {
  if (ranks <= 0 || per_rank <= 0)
    throw Error(ErrorKind::internal,
                "length groups of " + std::to_string(ranks) + " ranks by " + std::to_string(per_rank));
  const auto length_of = [&](std::int64_t i) { return lengths[static_cast<std::size_t>(i)]; };
  const auto order = Random(seed, stream).permutation(static_cast<std::int64_t>(lengths.size()));
  std::vector<std::int64_t> result;
  result.reserve(order.size());
  for (std::size_t begin = 0; begin < order.size(); begin += static_cast<std::size_t>(ranks * per_rank)) {
    const std::size_t end = std::min(order.size(), begin + static_cast<std::size_t>(ranks * per_rank));
    std::vector<std::int64_t> group(order.begin() + static_cast<std::ptrdiff_t>(begin),
                                    order.begin() + static_cast<std::ptrdiff_t>(end));
    std::stable_sort(group.begin(), group.end(), [&](auto a, auto b) { return length_of(a) > length_of(b); });
    std::vector<std::vector<std::int64_t>> shares(static_cast<std::size_t>(ranks));
    std::vector<std::int64_t> sums(shares.size(), 0);
    const bool even = group.size() % shares.size() == 0;
    for (std::size_t i = 0; i < group.size(); ++i) {
      // An even group goes record by record to the shortest share that is not full, another is dealt out in turn.
      const auto share = even ? static_cast<std::size_t>(std::min_element(sums.begin(), sums.end()) - sums.begin())
                              : i % shares.size();
      shares[share].push_back(group[i]);
      sums[share] += length_of(group[i]);
      if (even && shares[share].size() == group.size() / shares.size())
        sums[share] = std::numeric_limits<std::int64_t>::max();
    }
    for (const auto& share : shares) result.insert(result.end(), share.begin(), share.end());
  }
  return result;
}

}  // namespace retain::framework
