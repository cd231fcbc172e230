// SPDX-License-Identifier: Apache-2.0
// Multimodal rotary positions (M-RoPE), as transformers 5.23's Qwen2_5_VLModel.get_rope_index assigns them.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "models/lmm/batch.h"
#include "models/lmm/config.h"

namespace retain::models::qwen2_5_vl {

/// Frame, row and column of every token. Text counts up on all three axes. A picture's tokens start at the next
/// position and add their place in the grid of visual tokens; the text after them goes on past the longer side. Frames
/// of a video are tokens_per_second times their distance in seconds apart. Throws Error(data_image_count) where ids and
/// images disagree.
std::vector<std::array<std::int64_t, 3>> positions(const Sample& sample, const LmmConfig& config);

}  // namespace retain::models::qwen2_5_vl
