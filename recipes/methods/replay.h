// SPDX-License-Identifier: Apache-2.0
// Replay: a share of the earlier tasks' records among those of the task that is taught.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "recipes/methods/registry.h"
#include "recipes/records/sample_source.h"

namespace retain::recipes {

class Replay final : public Method {
 public:
  /// Key: share (*required*, 0 to 1), of the task's own number of records.
  explicit Replay(MethodSetup setup);

  framework::json::object describe() const override;
  double replayed() const override { return share_; }

 private:
  double share_;
};

/// One task's records, then ceil(share · their number) of the earlier tasks', as evenly from each as they have, drawn without
/// repetition by the seed alone. Without an earlier task: the task's records.
class ReplaySamples final : public SampleSource {
 public:
  /// The sources outlive this.
  ReplaySamples(const SampleSource& task, const std::vector<const SampleSource*>& earlier, double share, std::uint64_t seed,
                const std::string& stream);

  std::int64_t size() const override { return task_.size() + static_cast<std::int64_t>(replayed_.size()); }
  models::Sample sample(std::int64_t record, bool with_pixels) const override;
  std::string where(std::int64_t record) const override;
  /// The task's own, where nothing is replayed.
  std::filesystem::path lengths() const override { return replayed_.empty() ? task_.lengths() : std::filesystem::path(); }

  struct Place {
    const SampleSource* source;
    std::int64_t record;
  };
  const std::vector<Place>& replayed() const noexcept { return replayed_; }

 private:
  Place place_of(std::int64_t record) const;
  const SampleSource& task_;
  std::vector<Place> replayed_;
};

}  // namespace retain::recipes
