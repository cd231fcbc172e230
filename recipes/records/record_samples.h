// SPDX-License-Identifier: Apache-2.0
// A task's records as the trainer's source of samples.
#pragma once
#include <utility>

#include "framework/data/record_set.h"
#include "models/lmm/sample_builder.h"
#include "recipes/records/sample_source.h"

namespace retain::recipes {

class RecordSamples : public SampleSource {
 public:
  /// Both outlive this.
  RecordSamples(const framework::RecordSet& records, const models::SampleBuilder& builder, std::filesystem::path lengths = {})
      : records_(records), builder_(builder), lengths_(std::move(lengths)) {}

  std::int64_t size() const override { return records_.size(); }
  models::Sample sample(std::int64_t record, bool with_pixels) const override {
    return builder_.training_sample(records_.at(record), with_pixels ? models::Pictures::pixels : models::Pictures::sizes);
  }
  std::string where(std::int64_t record) const override { return records_.where(record); }
  std::filesystem::path lengths() const override { return lengths_; }

 private:
  const framework::RecordSet& records_;
  const models::SampleBuilder& builder_;
  std::filesystem::path lengths_;
};

}  // namespace retain::recipes
