// SPDX-License-Identifier: Apache-2.0
// LLaVA-OneVision's tensor names in the files people have.
#pragma once
#include <span>

#include "models/weights/name_map.h"

namespace retain::models::llava_onevision {

/// hub (llava-hf repositories), hf (transformers 5 save_pretrained), v4_52 (transformers 4.52 to 4.57), memory (a
/// transformers 5 model's named_parameters), orig (LLaVA's own checkpoints).
std::span<const Naming> namings();

}  // namespace retain::models::llava_onevision
