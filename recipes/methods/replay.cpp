// SPDX-License-Identifier: Apache-2.0
#include "recipes/methods/replay.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "framework/base/random.h"

namespace retain::recipes {

namespace {

/// `wanted` things from sources of these sizes, as evenly as they allow, earlier ones first.
std::vector<std::int64_t> even_draws(const std::vector<std::int64_t>& sizes, std::int64_t wanted) {
  std::vector<std::int64_t> draws(sizes.size(), 0);
  for (bool drawn = true; wanted > 0 && drawn;) {
    drawn = false;
    const auto open = std::count_if(sizes.begin(), sizes.end(),
                                    [&, i = std::size_t{0}](std::int64_t size) mutable { return draws[i++] < size; });
    const std::int64_t each = open > 0 ? std::max<std::int64_t>(1, wanted / open) : 0;
    for (std::size_t i = 0; i < sizes.size() && wanted > 0; ++i) {
      const std::int64_t more = std::min({each, sizes[i] - draws[i], wanted});
      draws[i] += more;
      wanted -= more;
      drawn = drawn || more > 0;
    }
  }
  return draws;
}

}  // namespace

Replay::Replay(MethodSetup setup) : Method(std::move(setup.groups)), share_(setup.settings.number("share", std::nullopt, 0, 1)) {}

framework::json::object Replay::describe() const { return {{"method", "replay"}, {"share", share_}}; }

ReplaySamples::ReplaySamples(const SampleSource& task, const std::vector<const SampleSource*>& earlier, double share, std::uint64_t seed,
                             const std::string& stream)
    : task_(task) {
  std::vector<std::int64_t> sizes;
  for (const SampleSource* source : earlier) sizes.push_back(source->size());
  const auto wanted = static_cast<std::int64_t>(std::ceil(share * static_cast<double>(task.size())));
  const std::vector<std::int64_t> draws = even_draws(sizes, wanted);
  for (std::size_t i = 0; i < earlier.size(); ++i) {
    std::vector<std::int64_t> order = framework::Random(seed, "replay/" + stream + "/" + std::to_string(i)).permutation(sizes[i]);
    order.resize(static_cast<std::size_t>(draws[i]));
    std::sort(order.begin(), order.end());
    for (const std::int64_t record : order) replayed_.push_back({earlier[i], record});
  }
}

ReplaySamples::Place ReplaySamples::place_of(std::int64_t record) const {
  if (record < task_.size()) return {&task_, record};
  return replayed_.at(static_cast<std::size_t>(record - task_.size()));
}

models::Sample ReplaySamples::sample(std::int64_t record, bool with_pixels) const {
  const Place place = place_of(record);
  return place.source->sample(place.record, with_pixels);
}

std::string ReplaySamples::where(std::int64_t record) const {
  const Place place = place_of(record);
  return place.source->where(place.record) + (record < task_.size() ? "" : " (replayed)");
}

}  // namespace retain::recipes
