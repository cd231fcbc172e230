// SPDX-License-Identifier: Apache-2.0
// Tensor names of models of LLaVA's build (tower, two-layer projector, image_newline, decoder) in the files people have.
#pragma once
#include <array>

#include "models/weights/name_map.h"

namespace retain::models::llava {

// A longer prefix stands before a shorter one that begins it.
inline constexpr std::array<PrefixPair, 5> kHub{{{"vision.", "vision_tower.vision_model."},
                                          {"projector.", "multi_modal_projector."},
                                          {"image_newline", "image_newline"},
                                          {"language.lm_head.", "language_model.lm_head."},
                                          {"language.", "language_model.model."}}};

inline constexpr std::array<PrefixPair, 5> kTransformers5{{{"vision.", "vision_tower."},
                                                    {"projector.", "multi_modal_projector."},
                                                    {"image_newline", "image_newline"},
                                                    {"language.lm_head.", "language_model.lm_head."},
                                                    {"language.", "language_model.model."}}};

inline constexpr std::array<PrefixPair, 5> kTransformers4{{{"vision.", "model.vision_tower.vision_model."},
                                                    {"projector.", "model.multi_modal_projector."},
                                                    {"image_newline", "model.image_newline"},
                                                    {"language.lm_head.", "lm_head."},
                                                    {"language.", "model.language_model."}}};

inline constexpr std::array<PrefixPair, 5> kMemory{{{"vision.", "model.vision_tower."},
                                             {"projector.", "model.multi_modal_projector."},
                                             {"image_newline", "model.image_newline"},
                                             {"language.lm_head.", "lm_head."},
                                             {"language.", "model.language_model."}}};

inline constexpr std::array<PrefixPair, 6> kOriginal{{{"vision.", "model.vision_tower.vision_tower.vision_model."},
                                               {"projector.linear_1.", "model.mm_projector.0."},
                                               {"projector.linear_2.", "model.mm_projector.2."},
                                               {"image_newline", "model.image_newline"},
                                               {"language.lm_head.", "lm_head."},
                                               {"language.", "model."}}};

/// hub (llava-hf repositories), hf (transformers 5 save_pretrained), v4_52 (transformers 4.52 to 4.57), memory (a
/// transformers 5 model's named_parameters), orig (LLaVA's own checkpoints).
inline constexpr std::array<Naming, 5> kNamings{{{"hub", kHub, false},
                                          {"hf", kTransformers5, false},
                                          {"v4_52", kTransformers4, false},
                                          {"memory", kMemory, false},
                                          {"orig", kOriginal, true}}};

}  // namespace retain::models::llava
