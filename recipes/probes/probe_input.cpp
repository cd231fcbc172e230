// SPDX-License-Identifier: Apache-2.0
#include "recipes/probes/probe_input.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "models/generator.h"

namespace retain::recipes {

parallel::Range ProbeInput::share() const {
  return parallel::even_share(count(), model.mesh().shape().data, model.mesh().position().data);
}

void for_each_batch(const ProbeInput& input, const std::function<void(const CaptionBatch&)>& look) {
  const parallel::Range share = input.share();
  for (std::int64_t first = share.begin; first < share.end; first += input.batch) {
    std::vector<models::Sample> samples;
    for (std::int64_t i = first; i < std::min(first + input.batch, share.end); ++i)
      samples.push_back(input.samples.sample(i, input.model.mesh().is_first_pipeline_stage()));
    const models::MicroBatch packed = models::pack(samples, models::LossAverage::sample, 1, 1);
    look({first, samples, packed});
  }
}

std::vector<std::int64_t> samples_of_rows(const models::MicroBatch& packed, const at::Tensor& rows_A) {
  std::vector<std::int64_t> samples;
  for (std::int64_t i = 0; i < rows_A.size(0); ++i) {
    const auto after = std::upper_bound(packed.starts.begin(), packed.starts.end(), rows_A[i].item<std::int64_t>());
    samples.push_back(after - packed.starts.begin() - 1);
  }
  return samples;
}

models::Sample first_question(const ProbeInput& input, std::int64_t record) {
  framework::Record asked = input.records.at(record);
  const auto user = std::find_if(asked.turns.begin(), asked.turns.end(),
                                 [](const framework::Turn& turn) { return turn.role == framework::Role::user; });
  if (user != asked.turns.end()) asked.turns.erase(user + 1, asked.turns.end());
  return input.builder.prompt_sample(
      asked, input.model.mesh().is_first_pipeline_stage() ? models::Pictures::pixels : models::Pictures::sizes);
}

void answer_first_questions(const ProbeInput& input, std::int64_t max_new_tokens,
                            const std::function<void(std::int64_t record, const std::vector<std::int64_t>& ids)>& take,
                            const std::function<void(const at::Tensor& logits_BV, const std::vector<std::int64_t>& records)>& see) {
  const parallel::Range share = input.share();
  for (std::int64_t first = share.begin; first < share.end; first += input.batch) {
    std::vector<models::Sample> questions;
    for (std::int64_t i = first; i < std::min(first + input.batch, share.end); ++i) questions.push_back(first_question(input, i));
    models::GenerateOptions options;
    options.max_new_tokens = max_new_tokens;
    options.batch_size = input.batch;
    if (see)
      options.observer = [&](const at::Tensor& logits_BV, const std::vector<std::size_t>& sequences, std::int64_t /*step*/) {
        std::vector<std::int64_t> records;
        for (const std::size_t sequence : sequences) records.push_back(first + static_cast<std::int64_t>(sequence));
        see(logits_BV, records);
      };
    std::int64_t record = first;
    for (const std::vector<std::int64_t>& ids : models::generate(input.model, questions, options)) take(record++, ids);
  }
}

void share_sum(const parallel::Mesh& mesh, at::Tensor& mine) {
  mesh.data().all_reduce(mine);
  mesh.pipeline().broadcast(mine, mesh.shape().pipeline - 1);
}

}  // namespace retain::recipes
