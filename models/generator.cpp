// SPDX-License-Identifier: Apache-2.0
// T: new tokens of all sequences; H: hidden.
#include "models/generator.h"

#include <numeric>
#include <span>

#include "framework/base/error.h"
#include "models/layers/kv_cache.h"
#include "models/lmm/inference.h"
#include "parallel/mesh.h"

namespace retain::models {
namespace {

/// One batch of prompts from prefill to its last token.
class Generation {
 public:
  Generation(Lmm& model, std::span<const Sample> prompts, std::size_t first, const GenerateOptions& options)
      : model_(model),
        options_(options),
        eos_(options.eos_tokens.empty() ? model.config().eos_tokens : options.eos_tokens),
        first_(first),
        active_(prompts.size()),
        results_(prompts.size()),
        cache_(layers_here(model), static_cast<std::int64_t>(prompts.size())) {
    std::iota(active_.begin(), active_.end(), std::size_t{0});
    for (const Sample& prompt : prompts) next_positions_.push_back(prompt.next_position());
  }

  std::vector<std::vector<std::int64_t>> run(std::span<const Sample> prompts) {
    MicroBatch batch = pack(prompts, LossAverage::token, 1, 1);
    for (std::int64_t step = 0; step < options_.max_new_tokens && !active_.empty(); ++step) {
      const at::Tensor tokens_B = next_tokens(batch, step);
      accept(tokens_B);
      batch = continuation();
    }
    return std::move(results_);
  }

 private:
  static std::int64_t layers_here(const Lmm& model) {
    return model.partition().layers.at(static_cast<std::size_t>(model.mesh().position().pipeline)).size();
  }

  /// Passes the batch through the pipeline stages and gives every rank of the replica the chosen ids [B].
  at::Tensor next_tokens(const MicroBatch& batch, std::int64_t step) {
    const parallel::Mesh& mesh = model_.mesh();
    const at::Tensor hidden_BH = forward_through_pipeline(model_, batch, &cache_);
    at::Tensor tokens_B = at::empty({static_cast<std::int64_t>(active_.size())}, at::kLong);
    if (mesh.is_last_pipeline_stage()) {
      const at::Tensor rows_B = at::arange(hidden_BH.size(0), at::kLong);
      at::Tensor logits_BV;
      if (options_.observer || !options_.sampling.greedy()) logits_BV = model_.logits(hidden_BH, rows_B);
      tokens_B = options_.sampling.greedy() ? model_.predict(hidden_BH, rows_B).cpu() : draw(logits_BV.cpu().contiguous(), step);
      if (options_.observer) options_.observer(logits_BV, active_prompts(), step);
    }
    if (mesh.shape().pipeline > 1) mesh.pipeline().broadcast(tokens_B, mesh.shape().pipeline - 1);
    return tokens_B;
  }

  /// A stream a prompt and step, so that neither the batch nor the mesh changes what is drawn.
  at::Tensor draw(const at::Tensor& logits_BV, std::int64_t step) const {
    const auto width = static_cast<std::size_t>(logits_BV.size(1));
    const float* logits = logits_BV.const_data_ptr<float>();
    std::vector<std::int64_t> ids;
    for (std::size_t row = 0; row < active_.size(); ++row) {
      framework::Random random(options_.sampling.seed,
                               "generate/" + std::to_string(first_ + active_[row]) + "/" + std::to_string(step));
      ids.push_back(sample_token({logits + row * width, width}, options_.sampling, random));
    }
    return at::tensor(ids, at::kLong);
  }

  std::vector<std::size_t> active_prompts() const {
    std::vector<std::size_t> prompts = active_;
    for (std::size_t& prompt : prompts) prompt += first_;
    return prompts;
  }

  /// Records the new ids and drops the sequences that are finished; the last ones take their places.
  void accept(const at::Tensor& tokens_B) {
    const std::int64_t* tokens = tokens_B.const_data_ptr<std::int64_t>();
    std::vector<std::size_t> rows(active_.size());
    std::iota(rows.begin(), rows.end(), std::size_t{0});
    for (std::size_t place = 0; place < rows.size();) {
      if (goes_on(active_[rows[place]], tokens[rows[place]])) {
        ++place;
      } else {
        rows[place] = rows.back();
        rows.pop_back();
      }
    }
    if (rows.size() != active_.size()) cache_.keep(rows);
    std::vector<std::size_t> going_on;
    for (const std::size_t row : rows) going_on.push_back(active_[row]);
    active_ = std::move(going_on);
  }

  bool goes_on(std::size_t sequence, std::int64_t token) {
    std::vector<std::int64_t>& made = results_[sequence];
    made.push_back(token);
    if (!options_.ignore_eos && std::find(eos_.begin(), eos_.end(), token) != eos_.end()) return false;
    return !options_.enough || !options_.enough(made);
  }

  /// The latest token of every active sequence.
  MicroBatch continuation() const {
    std::vector<std::int64_t> ids, positions;
    MicroBatch batch;
    batch.starts.push_back(0);
    for (const std::size_t sequence : active_) {
      const std::vector<std::int64_t>& made = results_[sequence];
      ids.push_back(made.back());
      positions.push_back(next_positions_[sequence] + static_cast<std::int64_t>(made.size()) - 1);
      batch.starts.push_back(batch.starts.back() + 1);
    }
    batch.ids_T = at::tensor(ids, at::kLong);
    batch.positions_T = at::tensor(positions, at::kLong);
    batch.image_rows_I = at::empty({0}, at::kLong);  // a generated image token is text
    return batch;
  }

  Lmm& model_;
  const GenerateOptions& options_;
  std::vector<std::int64_t> eos_;
  std::size_t first_;
  std::vector<std::size_t> active_;  ///< sequences going on, in the cache's order
  std::vector<std::int64_t> next_positions_;  ///< of each prompt's first new token
  std::vector<std::vector<std::int64_t>> results_;
  KvCache cache_;
};

}  // namespace

std::vector<std::vector<std::int64_t>> generate(Lmm& model, const std::vector<Sample>& prompts,
                                                const GenerateOptions& options) {
  const at::NoGradGuard no_gradients;
  for (const Sample& prompt : prompts)
    if (prompt.ids.empty())
      throw framework::Error(framework::ErrorKind::data_invalid,
                             {"the prompt of " + prompt.id + " has no tokens", "at least one token", "none", ""});
  std::vector<std::vector<std::int64_t>> results;
  const auto together = static_cast<std::size_t>(std::max<std::int64_t>(1, options.batch_size));
  for (std::size_t first = 0; first < prompts.size(); first += together) {
    const std::span<const Sample> part = std::span(prompts).subspan(first, std::min(together, prompts.size() - first));
    for (std::vector<std::int64_t>& ids : Generation(model, part, first, options).run(part)) results.push_back(std::move(ids));
  }
  return results;
}

}  // namespace retain::models
