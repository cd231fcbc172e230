// SPDX-License-Identifier: Apache-2.0
// LLaVA-OneVision (Li et al. 2024, arXiv 2408.03326): SigLIP, anyres tiles up to a limit, Qwen2.
#pragma once
#include "models/lmm/family.h"

namespace retain::models::llava_onevision {

extern const Family kFamily;

}  // namespace retain::models::llava_onevision
