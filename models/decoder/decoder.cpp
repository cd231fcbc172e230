// SPDX-License-Identifier: Apache-2.0
#include "models/decoder/decoder.h"

#include "models/layers/kv_cache.h"
#include "models/layers/recompute.h"

namespace retain::models {

Decoder::Decoder(const TextConfig& config, const parallel::ParameterSet& parameters, parallel::Range layers,
                 parallel::Communicator& group)
    : rotary_{config.head_size, config.rope_theta, config.rope_sections, config.rope_scaling}, extension_(parameters.extension()),
      first_layer_(layers.begin) {
  layers_.reserve(static_cast<std::size_t>(layers.size()));
  for (std::int64_t layer = layers.begin; layer < layers.end; ++layer)
    layers_.emplace_back(config, parameters, "language.layers." + std::to_string(layer), group);
}

at::Tensor Decoder::forward(const at::Tensor& hidden_TH, const at::Tensor& positions_T, const parallel::PackedRows& packed,
                            bool recompute_layers) const {
  const RotaryTable rotary = rotary_table(positions_T, rotary_);
  const auto rows = std::make_shared<const parallel::PackedRows>(packed);
  if (extension_) extension_->enter(rows);
  const BlockObserver* observer = observer_ ? &observer_ : nullptr;
  at::Tensor result_TH = hidden_TH;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    const DecoderLayer& layer = layers_[i];
    if (!recompute_layers || observer) {
      result_TH = layer.forward(result_TH, {rotary, rows->starts, nullptr, 0, observer, first_layer_ + static_cast<std::int64_t>(i)});
      continue;
    }
    const Computation part = [&layer, rotary, rows, extension = extension_.get()](const at::Tensor& x_TH) {
      if (extension) extension->enter(rows);
      return layer.forward(x_TH, {rotary, rows->starts});
    };
    result_TH = recompute(part, result_TH, layer.trained());
  }
  return result_TH;
}

at::Tensor Decoder::forward_cached(const at::Tensor& hidden_TH, const at::Tensor& positions_T, const std::vector<std::int64_t>& starts,
                                   KvCache& cache, bool ends_only) const {
  const RotaryTable rotary = rotary_table(positions_T, rotary_);
  SequenceEnds ends;
  if (ends_only && hidden_TH.size(0) + 1 > static_cast<std::int64_t>(starts.size())) {
    ends.rows_B = (at::tensor(starts, at::kLong).slice(0, 1) - 1).to(hidden_TH.device());
    ends.rotary = {rotary.cosine_TC.index_select(0, ends.rows_B), rotary.sine_TC.index_select(0, ends.rows_B)};
  }
  cache.enter(starts);
  at::Tensor result_TH = hidden_TH;
  for (std::size_t layer = 0; layer < layers_.size(); ++layer) {
    DecoderPass pass{rotary, starts, &cache, layer};
    if (layer + 1 == layers_.size() && ends.rows_B.defined()) pass.ends = &ends;
    result_TH = layers_[layer].forward(result_TH, pass);
  }
  return layers_.empty() && ends.rows_B.defined() ? ends.of(result_TH) : result_TH;
}

}  // namespace retain::models
