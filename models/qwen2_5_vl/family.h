// SPDX-License-Identifier: Apache-2.0
// Qwen2.5-VL (Bai et al. 2025, arXiv 2502.13923): pictures of any size through a tower with window attention, a merger
// of square patches, Qwen2 with multimodal rotary positions.
#pragma once
#include "models/lmm/family.h"

namespace retain::models::qwen2_5_vl {

extern const Family kFamily;

}  // namespace retain::models::qwen2_5_vl
