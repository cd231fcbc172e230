// SPDX-License-Identifier: Apache-2.0
#include "models/vision/tower.h"

#include "framework/base/error.h"
#include "models/vision/clip.h"
#include "models/vision/siglip.h"

namespace retain::models {

std::unique_ptr<VisionTower> make_tower(const VisionConfig& config, const parallel::ParameterSet& parameters,
                                        parallel::Communicator& group) {
  if (config.kind == "siglip") return std::make_unique<Siglip>(config, parameters, group);
  if (config.kind == "clip") return std::make_unique<Clip>(config, parameters, group);
  throw framework::Error(framework::ErrorKind::internal, "there is no vision tower of kind " + config.kind);
}

}  // namespace retain::models
