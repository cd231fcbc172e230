// SPDX-License-Identifier: Apache-2.0
// The families of models: one line each.
#include <array>

#include "framework/base/error.h"
#include "models/llava_1_5/family.h"
#include "models/llava_next/family.h"
#include "models/llava_onevision/family.h"
#include "models/lmm/family.h"
#include "models/qwen2_5_vl/family.h"

namespace retain::models {
namespace {

constexpr std::array kFamilies{
    &llava_onevision::kFamily,
    &llava_next::kFamily,
    &llava_1_5::kFamily,
    &qwen2_5_vl::kFamily,
};

}  // namespace

std::span<const Family* const> families() {
  return kFamilies;
}

const Family& family_of(const LmmConfig& config) {
  for (const Family* family : kFamilies)
    if (family->name == config.family) return *family;
  throw framework::Error(framework::ErrorKind::internal, "there is no family " + config.family);
}

}  // namespace retain::models
