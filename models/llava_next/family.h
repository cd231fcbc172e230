// SPDX-License-Identifier: Apache-2.0
// LLaVA-NeXT (Liu et al. 2024, "LLaVA-NeXT: Improved reasoning, OCR, and world knowledge"): CLIP, anyres tiles, and
// LLaMA-3, Vicuna or Mistral.
#pragma once
#include "models/lmm/family.h"

namespace retain::models::llava_next {

extern const Family kFamily;

}  // namespace retain::models::llava_next
