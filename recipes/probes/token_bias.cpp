// SPDX-License-Identifier: Apache-2.0
// S: samples, F: the three figures of a position, K: tokens of the set, R: rows of logits, V: vocabulary.
#include "recipes/probes/token_bias.h"

#include <ATen/ATen.h>

#include <limits>

#include "models/lmm/inference.h"

namespace retain::recipes {
namespace {

namespace json = framework::json;

constexpr std::int64_t kFigures = 3;
constexpr const char* kNames[kFigures] = {"total_probability", "maximum_probability", "maximum_logit"};

/// Sums and maxima by sample.
class Tally {
 public:
  Tally(const std::vector<std::int64_t>& ids, std::int64_t samples)
      : ids_K_(at::tensor(ids, at::kLong)),
        positions_S_(at::zeros({samples, 1}, at::kDouble)),
        sums_SF_(at::zeros({samples, kFigures}, at::kDouble)),
        maxima_SF_(at::full({samples, kFigures}, -std::numeric_limits<double>::infinity(), at::kDouble)),
        sums_SK_(at::zeros({samples, static_cast<std::int64_t>(ids.size())}, at::kDouble)) {}

  void add(const at::Tensor& logits_RV, const std::vector<std::int64_t>& samples_R) {
    const at::Tensor ids_K = ids_K_.to(logits_RV.device());
    const at::Tensor logits_RK = logits_RV.index_select(1, ids_K).cpu().to(at::kDouble);
    const at::Tensor shares_RK = at::softmax(logits_RV, 1).index_select(1, ids_K).cpu().to(at::kDouble);
    const at::Tensor figures_RF = at::stack({shares_RK.sum(1), shares_RK.amax(1), logits_RK.amax(1)}, 1);
    for (std::size_t r = 0; r < samples_R.size(); ++r) {
      const std::int64_t s = samples_R[r];
      const at::Tensor figures_F = figures_RF[static_cast<std::int64_t>(r)];
      positions_S_[s] += 1;
      sums_SF_[s] += figures_F;
      maxima_SF_[s].copy_(at::maximum(maxima_SF_[s], figures_F));
      sums_SK_[s] += shares_RK[static_cast<std::int64_t>(r)];
    }
  }

  json::object finish(const parallel::Mesh& mesh, const framework::Tokenizer& tokenizer) {
    maxima_SF_.masked_fill_(positions_S_ == 0, 0);
    at::Tensor all = at::cat({positions_S_, sums_SF_, maxima_SF_, sums_SK_}, 1);
    share_sum(mesh, all);
    const at::Tensor seen = all.index_select(0, (all.select(1, 0) > 0).nonzero().squeeze(1));
    const at::Tensor positions = seen.narrow(1, 0, 1);
    const at::Tensor means_SF = seen.narrow(1, 1, kFigures) / positions, maxima_SF = seen.narrow(1, 1 + kFigures, kFigures);
    json::object result{{"value", means_SF.mean(0)[0].item<double>()}, {"samples", seen.size(0)}};
    for (std::int64_t f = 0; f < kFigures; ++f)
      result[kNames[f]] = json::object{{"mean", moments(means_SF.select(1, f))}, {"maximum", moments(maxima_SF.select(1, f))}};
    const at::Tensor tokens_K = (seen.narrow(1, 1 + 2 * kFigures, ids_K_.size(0)) / positions).mean(0);
    json::array tokens;
    for (std::int64_t k = 0; k < ids_K_.size(0); ++k) {
      const std::int64_t id = ids_K_[k].item<std::int64_t>();
      tokens.push_back(json::object{
          {"id", id}, {"text", tokenizer.decode(std::vector{id}, false)}, {"probability", tokens_K[k].item<double>()}});
    }
    result["tokens"] = std::move(tokens);
    return result;
  }

 private:
  static json::object moments(const at::Tensor& values_S) {
    return {{"mean", values_S.mean().item<double>()}, {"deviation", values_S.std(/*unbiased=*/false).item<double>()}};
  }

  at::Tensor ids_K_, positions_S_, sums_SF_, maxima_SF_, sums_SK_;
};

void look_at_captions(const ProbeInput& input, Tally& tally) {
  for_each_batch(input, [&](const CaptionBatch& batch) {
    const at::Tensor hidden_TH = models::forward_through_pipeline(input.model, batch.packed);
    if (!input.model.mesh().is_last_pipeline_stage()) return;
    std::vector<std::int64_t> samples_R = samples_of_rows(batch.packed, batch.packed.answer_rows_A);
    for (std::int64_t& sample : samples_R) sample += batch.first;
    tally.add(input.model.logits(hidden_TH, batch.packed.answer_rows_A), samples_R);
  });
}

void look_while_writing(const ProbeInput& input, std::int64_t max_new_tokens, Tally& tally) {
  answer_first_questions(
      input, max_new_tokens, [](std::int64_t, const std::vector<std::int64_t>&) {},
      [&](const at::Tensor& logits_BV, const std::vector<std::int64_t>& records) { tally.add(logits_BV, records); });
}

}  // namespace

json::object token_bias(const ProbeInput& input, const TokenBias& settings) {
  const at::NoGradGuard no_gradient;
  Tally tally(settings.ids, input.count());
  if (settings.generated) look_while_writing(input, settings.max_new_tokens, tally);
  else look_at_captions(input, tally);
  return tally.finish(input.model.mesh(), input.builder.tokenizer());
}

}  // namespace retain::recipes
