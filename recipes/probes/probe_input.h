// SPDX-License-Identifier: Apache-2.0
// What every probe is given: the weights to look at, the captions, and how ranks share them. A probe changes nothing.
// Shape suffixes: T packed tokens, A supervised positions.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "framework/data/record_set.h"
#include "models/lmm/lmm.h"
#include "models/lmm/sample_builder.h"
#include "recipes/records/sample_source.h"

namespace retain::recipes {

struct ProbeInput {
  models::Lmm& model;
  const framework::RecordSet& records;
  const SampleSource& samples;              ///< of the same records
  const models::SampleBuilder& builder;
  std::int64_t limit = 0;                   ///< first records only; 0: all
  std::int64_t batch = 8;                   ///< computed together; changes time and memory only
  bool faithful = false;                    ///< as the paper's code was released
  std::function<std::unique_ptr<models::Lmm>()> base = {};  ///< collective: the base model, in the memory they share

  std::int64_t count() const { return limit > 0 && limit < samples.size() ? limit : samples.size(); }
  /// Of this replica.
  parallel::Range share() const;
};

/// Some captions of this replica, packed. The weights of a caption's supervised positions add up to one.
struct CaptionBatch {
  std::int64_t first;                       ///< the first caption's number
  const std::vector<models::Sample>& samples;
  const models::MicroBatch& packed;
};
void for_each_batch(const ProbeInput& input, const std::function<void(const CaptionBatch&)>& look);

/// Which of a batch's samples each row [A] belongs to.
std::vector<std::int64_t> samples_of_rows(const models::MicroBatch& packed, const at::Tensor& rows_A);

/// A record's question alone: its first turn, to be answered. Pixels on the first pipeline stage.
models::Sample first_question(const ProbeInput& input, std::int64_t record);

/// Collective: greedy answers to the first question of each of this replica's records. `take` is given a record's number and its
/// answer's ids; `see`, where there is one, the logits of every step as models::generate shows them, with the records' numbers.
void answer_first_questions(const ProbeInput& input, std::int64_t max_new_tokens,
                            const std::function<void(std::int64_t record, const std::vector<std::int64_t>& ids)>& take,
                            const std::function<void(const at::Tensor& logits_BV, const std::vector<std::int64_t>& records)>& see = {});

/// Collective: what the last pipeline stage's ranks of every replica hold in `mine` (CPU, zeros where it is not theirs), added
/// over the replicas and told to all ranks.
void share_sum(const parallel::Mesh& mesh, at::Tensor& mine);

}  // namespace retain::recipes
