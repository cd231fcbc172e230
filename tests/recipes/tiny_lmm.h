// SPDX-License-Identifier: Apache-2.0
// Whole models of a few thousand parameters with random weights and made-up records, for tests on any mesh.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/lmm/lmm.h"
#include "recipes/records/sample_source.h"
#include "recipes/study/model_kit.h"

namespace retain::testing {

/// Five decoder layers, four query heads on two key-value heads, a vision tower of two layers, 61 words.
models::LmmConfig tiny_config(bool tied_head = false);
/// The same decoder, with a tied head, behind Qwen2.5-VL's tower: three blocks of two heads, the middle one over the whole picture.
models::LmmConfig tiny_llava_1_5_config();
models::LmmConfig tiny_qwen_config();

/// The same size as LLaVA-NeXT: CLIP, whose third layer is stored and not computed, LLaMA with scaled rotary positions.
models::LmmConfig tiny_next_config();

/// Whole weights by canonical name, a function of name and shape alone.
std::map<std::string, at::Tensor> tiny_weights(const models::LmmConfig& config);

/// The model as this rank of `mesh` holds it. `mesh` outlives it.
std::unique_ptr<models::Lmm> tiny_model(const models::LmmConfig& config, const parallel::Mesh& mesh,
                                        const std::map<std::string, at::Tensor>& weights, bool recompute,
                                        framework::DType dtype = framework::DType::float32, const recipes::ModelMethod& with = {});

/// A rank's slice of a whole tensor.
at::Tensor slice_of(const parallel::ParameterSpec& spec, const at::Tensor& whole, int tensor_rank);

/// The greatest absolute difference between two models' parameters on this rank.
double difference(models::Lmm& a, models::Lmm& b);

/// Records of different lengths with pictures of different sizes. The kinds repeat: 'i' one picture, 't' text alone.
class TinyRecords final : public recipes::SampleSource {
 public:
  /// `kinds`: one letter a record; 'b' cannot be read at all, 'p' has pixels that cannot be read.
  TinyRecords(models::LmmConfig config, std::string kinds) : config_(std::move(config)), kinds_(std::move(kinds)) {}
  std::int64_t size() const override { return static_cast<std::int64_t>(kinds_.size()); }
  models::Sample sample(std::int64_t record, bool with_pixels) const override;
  std::string where(std::int64_t record) const override { return "tiny, record " + std::to_string(record); }

 private:
  models::LmmConfig config_;
  std::string kinds_;
};

}  // namespace retain::testing
