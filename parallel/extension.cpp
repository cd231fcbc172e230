// SPDX-License-Identifier: Apache-2.0
#include "parallel/extension.h"

namespace retain::parallel {

Extension::Computation Extension::beside_linear(const ParameterSet& /*parameters*/, const std::string& /*prefix*/,
                                                Communicator& /*group*/) const {
  return {};
}

Extension::Computation Extension::instead_of_mlp(const ParameterSet& /*parameters*/, const std::string& /*prefix*/,
                                                 Communicator& /*group*/, Computation /*own*/) const {
  return {};
}

void Extension::enter(const std::shared_ptr<const PackedRows>& /*rows*/) {}

}  // namespace retain::parallel
