// SPDX-License-Identifier: Apache-2.0
// Longest sample first into the emptiest micro-batch (Graham 1969), then micro-batches to ranks in the same way.
#include "framework/data/micro_batch.h"

#include <algorithm>
#include <numeric>
#include <optional>
#include <string>

#include "framework/base/error.h"

namespace retain::framework {
namespace {

std::int64_t divide_up(std::int64_t value, std::int64_t by) {
  return (value + by - 1) / by;
}

/// Puts samples, longest first, into `count` micro-batches; nothing when a limit does not allow that many.
std::optional<std::vector<MicroBatch>> fill(std::span<const std::int64_t> tokens,
                                            std::span<const std::int64_t> by_length, std::int64_t count,
                                            const MicroBatchLimits& limits) {
  std::vector<MicroBatch> batches(static_cast<std::size_t>(count));
  const auto fits = [&](const MicroBatch& batch, std::int64_t length) {
    if (batch.slots.empty()) return true;
    const bool tokens_fit = limits.tokens <= 0 || batch.tokens + length <= limits.tokens;
    const bool samples_fit = limits.samples <= 0 || static_cast<std::int64_t>(batch.slots.size()) < limits.samples;
    return tokens_fit && samples_fit;
  };
  for (const std::int64_t slot : by_length) {
    const std::int64_t length = tokens[static_cast<std::size_t>(slot)];
    MicroBatch* best = nullptr;
    for (MicroBatch& batch : batches) {
      if (!fits(batch, length)) continue;
      const bool emptier = best == nullptr || batch.slots.empty() > best->slots.empty() ||
                           (batch.slots.empty() == best->slots.empty() && batch.tokens < best->tokens);
      if (emptier) best = &batch;
    }
    if (best == nullptr) return std::nullopt;
    best->slots.push_back(slot);
    best->tokens += length;
  }
  std::erase_if(batches, [](const MicroBatch& batch) { return batch.slots.empty(); });
  return batches;
}

/// Deals micro-batches, most tokens first, to the rank with the fewest tokens that has not got its number yet: the
/// first ranks get one more where they do not come out even.
std::vector<std::vector<MicroBatch>> deal(std::vector<MicroBatch> batches, std::int64_t ranks) {
  std::stable_sort(batches.begin(), batches.end(), [](const auto& a, const auto& b) { return a.tokens > b.tokens; });
  const auto count = static_cast<std::int64_t>(batches.size());
  std::vector<std::vector<MicroBatch>> shares(static_cast<std::size_t>(ranks));
  std::vector<std::int64_t> sums(shares.size(), 0);
  const auto room = [&](std::size_t rank) {
    const std::int64_t wanted = count / ranks + (static_cast<std::int64_t>(rank) < count % ranks ? 1 : 0);
    return static_cast<std::int64_t>(shares[rank].size()) < wanted;
  };
  for (MicroBatch& batch : batches) {
    std::optional<std::size_t> best;
    for (std::size_t rank = 0; rank < shares.size(); ++rank)
      if (room(rank) && (!best.has_value() || sums[rank] < sums[*best])) best = rank;
    sums[*best] += batch.tokens;
    std::sort(batch.slots.begin(), batch.slots.end());
    shares[*best].push_back(std::move(batch));
  }
  for (auto& share : shares)
    std::sort(share.begin(), share.end(),
              [](const auto& a, const auto& b) { return a.slots.front() < b.slots.front(); });
  return shares;
}

}  // namespace

std::vector<std::vector<MicroBatch>> assign_micro_batches(std::span<const std::int64_t> tokens, std::int64_t data_ranks,
                                                          const MicroBatchLimits& limits) {
  if (data_ranks <= 0) throw Error(ErrorKind::internal, "samples for " + std::to_string(data_ranks) + " data ranks");
  const auto samples = static_cast<std::int64_t>(tokens.size());
  std::vector<std::int64_t> by_length(tokens.size());
  std::iota(by_length.begin(), by_length.end(), std::int64_t{0});
  std::stable_sort(by_length.begin(), by_length.end(), [&](std::int64_t a, std::int64_t b) {
    return tokens[static_cast<std::size_t>(a)] > tokens[static_cast<std::size_t>(b)];
  });
  const std::int64_t sum = std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0});
  std::int64_t each = std::max<std::int64_t>(1, std::min(limits.at_least, samples / data_ranks));
  if (limits.tokens > 0) each = std::max(each, divide_up(sum, data_ranks * limits.tokens));
  if (limits.samples > 0) each = std::max(each, divide_up(samples, data_ranks * limits.samples));
  each = std::max<std::int64_t>(1, std::min(each, divide_up(samples, data_ranks)));
  while (true) {
    // With as many micro-batches as samples every sample gets its own, so this ends.
    auto batches = fill(tokens, by_length, data_ranks * each, limits);
    if (batches.has_value()) return deal(std::move(*batches), data_ranks);
    ++each;
  }
}

}  // namespace retain::framework
