// SPDX-License-Identifier: Apache-2.0
#include "models/qwen2_5_vl/table.h"

#include <algorithm>
#include <string>

namespace retain::models::qwen2_5_vl {
namespace {

void add_block(ParameterRows& rows, const VisionConfig& vision, const std::string& block) {
  const std::int64_t hidden = vision.hidden, width = vision.intermediate, head_size = hidden / vision.heads;
  rows.whole(block + "norm1.weight", {hidden});
  rows.whole(block + "norm2.weight", {hidden});
  rows.cut_blocks_evenly(block + "attn.qkv.weight", {3 * hidden, hidden}, 3, vision.heads, head_size);
  rows.cut_blocks_evenly(block + "attn.qkv.bias", {3 * hidden}, 3, vision.heads, head_size);
  rows.cut_evenly(block + "attn.proj.weight", {hidden, hidden}, 1, vision.heads, head_size);
  rows.whole(block + "attn.proj.bias", {hidden});
  for (const char* name : {"gate_proj", "up_proj"}) {
    rows.cut_evenly(block + "mlp." + name + ".weight", {width, hidden}, 0, width);
    rows.cut_evenly(block + "mlp." + name + ".bias", {width}, 0, width);
  }
  rows.cut_evenly(block + "mlp.down_proj.weight", {hidden, width}, 1, width);
  rows.whole(block + "mlp.down_proj.bias", {hidden});
}

}  // namespace

void add_vision_rows(ParameterRows& rows, const LmmConfig& config) {
  const VisionConfig& vision = config.vision;
  const WindowedVision& windowed = *vision.windowed;
  rows.whole("vision.patch_embed.proj.weight",
             {vision.hidden, vision.channels, windowed.frames, vision.patch_size, vision.patch_size});
  for (std::int64_t i = 0; i < vision.layers; ++i) add_block(rows, vision, "vision.blocks." + std::to_string(i) + ".");
  const std::int64_t merged = vision.hidden * windowed.merge * windowed.merge;
  rows.whole("projector.ln_q.weight", {vision.hidden});
  rows.cut_evenly("projector.mlp.0.weight", {merged, merged}, 0, merged);
  rows.cut_evenly("projector.mlp.0.bias", {merged}, 0, merged);
  rows.cut_evenly("projector.mlp.2.weight", {config.text.hidden, merged}, 1, merged);
  rows.whole("projector.mlp.2.bias", {config.text.hidden});
}

double vision_cost(const LmmConfig& config, const Workload& workload) {
  // A product [m,k]·[k,n] is 2mkn; attention of P positions to S others of width d adds 4·P·S·d.
  const VisionConfig& vision = config.vision;
  const WindowedVision& windowed = *vision.windowed;
  const auto patches = static_cast<double>(vision.patches()), tokens = static_cast<double>(vision.tile_tokens());
  const auto hidden = static_cast<double>(vision.hidden), width = static_cast<double>(vision.intermediate);
  const auto values = static_cast<double>(vision.channels * windowed.frames * vision.patch_size * vision.patch_size);
  const double merged = hidden * static_cast<double>(windowed.merge * windowed.merge);
  const double side = static_cast<double>(windowed.window_tokens(vision.patch_size) * windowed.merge);

  const double products = 2 * patches * (4 * hidden * hidden + 3 * hidden * width);
  double attention = 0;
  for (std::int64_t layer = 0; layer < vision.layers; ++layer) {
    const bool full =
        std::find(windowed.full_layers.begin(), windowed.full_layers.end(), layer) != windowed.full_layers.end();
    attention += 4 * patches * (full ? patches : std::min(patches, side * side)) * hidden;
  }
  const double merger = 2 * tokens * merged * (merged + static_cast<double>(config.text.hidden));
  return static_cast<double>(workload.tiles) *
         (2 * patches * values * hidden + static_cast<double>(vision.layers) * products + attention + merger);
}

}  // namespace retain::models::qwen2_5_vl
