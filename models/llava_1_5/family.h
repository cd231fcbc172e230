// SPDX-License-Identifier: Apache-2.0
// LLaVA-1.5 (Liu et al. 2023, arXiv 2310.03744): CLIP over one tile a picture, and LLaMA (Vicuna).
#pragma once
#include "models/lmm/family.h"

namespace retain::models::llava_1_5 {

extern const Family kFamily;

}  // namespace retain::models::llava_1_5
