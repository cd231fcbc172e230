// SPDX-License-Identifier: Apache-2.0
// A pull back to an earlier stage: λ/2 · ‖θ − θ₀‖² over what is trained, added to the loss (L2-SP: Li, Grandvalet and Davoine
// 2018, arXiv 1802.01483).
#pragma once
#include <memory>
#include <string>

#include "recipes/methods/registry.h"

namespace retain::recipes {

class L2 final : public Method {
 public:
  /// Keys: lambda (*required*), anchor ("previous"; "base" or any stage).
  explicit L2(MethodSetup setup);

  framework::json::object describe() const override;
  std::string reference() const override { return anchor_; }
  std::unique_ptr<MethodRun> begin(const MethodStart& start) const override;
  /// The anchor's values of what is trained.
  std::int64_t bytes_beside(std::int64_t trained_bytes) const override { return trained_bytes; }

 private:
  double lambda_;
  std::string anchor_;
};

}  // namespace retain::recipes
