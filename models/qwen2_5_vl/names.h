// SPDX-License-Identifier: Apache-2.0
// Qwen2.5-VL's tensor names in the files people have. The merger that ends the tower is the projector here.
#pragma once
#include <array>

#include "models/weights/name_map.h"

namespace retain::models::qwen2_5_vl {

// A longer prefix stands before a shorter one that begins it.
inline constexpr std::array<PrefixPair, 4> kHub{{{"projector.", "visual.merger."},
                                                 {"vision.", "visual."},
                                                 {"language.lm_head.", "lm_head."},
                                                 {"language.", "model."}}};

inline constexpr std::array<PrefixPair, 4> kNested{{{"projector.", "model.visual.merger."},
                                                    {"vision.", "model.visual."},
                                                    {"language.lm_head.", "lm_head."},
                                                    {"language.", "model.language_model."}}};

/// hub (Qwen repositories), hf (transformers 5 save_pretrained, the same names), v4_52 (transformers 4.52 to 4.57),
/// memory (a transformers 5 model's named_parameters).
inline constexpr std::array<Naming, 4> kNamings{
    {{"hub", kHub, false}, {"hf", kHub, false}, {"v4_52", kNested, false}, {"memory", kNested, false}}};

}  // namespace retain::models::qwen2_5_vl
