// SPDX-License-Identifier: Apache-2.0
// Reading ahead, and packing once all ranks agree on what could be read.
#include "recipes/records/batch_loader.h"

#include <utility>

#include "framework/base/error.h"

namespace retain::recipes {

using framework::Cursor;

BatchLoader::BatchLoader(const SampleSource& source, const RecordScan& scan, const framework::Sampler& sampler,
                         const parallel::Mesh& mesh, const TrainSettings& settings, OnBad bad_records)
    : source_(source),
      scan_(scan),
      sampler_(sampler),
      mesh_(mesh),
      settings_(settings),
      bad_records_(bad_records) {}

BatchLoader::~BatchLoader() {
  if (coming_.valid()) coming_.wait();
}

BatchLoader::Prepared BatchLoader::prepare(const Cursor& cursor) const {
  Prepared prepared;
  prepared.cursor = cursor;
  prepared.records = sampler_.batch(cursor);
  std::vector<std::int64_t> tokens;
  for (const std::int64_t record : prepared.records)
    tokens.push_back(scan_.sizes[static_cast<std::size_t>(record)].tokens);
  const framework::MicroBatchLimits limits{settings_.micro_batch_tokens, settings_.micro_batch, 1};
  auto plans = framework::assign_micro_batches(tokens, mesh_.shape().data, limits);
  prepared.plan = std::move(plans.at(static_cast<std::size_t>(mesh_.position().data)));
  for (const framework::MicroBatch& micro_batch : prepared.plan) {
    prepared.samples.emplace_back();
    for (const std::int64_t slot : micro_batch.slots) {
      try {
        prepared.samples.back().push_back(
            source_.sample(prepared.records[static_cast<std::size_t>(slot)], mesh_.is_first_pipeline_stage()));
        prepared.samples.back().back().number =
            (cursor.epoch * sampler_.steps_per_epoch() + cursor.step) * settings_.global_batch + slot;
      } catch (const framework::Error& error) {
        if (bad_records_ == OnBad::stop) throw;
        prepared.samples.back().emplace_back();
        prepared.failed_slots.push_back(slot);
        prepared.reasons.emplace_back(error.what());
      }
    }
  }
  return prepared;
}

const std::vector<std::int64_t>& BatchLoader::wait(const Cursor& cursor) {
  ready_ = {};
  if (coming_.valid() && coming_cursor_ == cursor) {
    ready_ = coming_.get();
  } else {
    if (coming_.valid()) coming_.wait();
    ready_ = prepare(cursor);
  }
  return ready_.failed_slots;
}

LoadedBatch BatchLoader::pack(const std::vector<bool>& left_out, const std::optional<Cursor>& next) {
  LoadedBatch batch;
  for (std::size_t slot = 0; slot < ready_.records.size(); ++slot) {
    const RecordSize& size = scan_.sizes[static_cast<std::size_t>(ready_.records[slot])];
    if (left_out[slot]) {
      ++batch.left_out;
      continue;
    }
    ++batch.samples;
    batch.tokens += size.tokens;
    batch.answers += size.answers;
  }
  for (std::size_t m = 0; m < ready_.plan.size(); ++m) {
    std::vector<models::Sample> samples;
    for (std::size_t k = 0; k < ready_.plan[m].slots.size(); ++k)
      if (!left_out[static_cast<std::size_t>(ready_.plan[m].slots[k])]) samples.push_back(std::move(ready_.samples[m][k]));
    if (!samples.empty())
      batch.micro_batches.push_back(models::pack(samples, settings_.loss_average, batch.samples, batch.answers));
  }
  ready_.samples.clear();
  coming_cursor_ = next;
  if (next) coming_ = std::async(std::launch::async, [this, cursor = *next] { return prepare(cursor); });
  return batch;
}

}  // namespace retain::recipes
