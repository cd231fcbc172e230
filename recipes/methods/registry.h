// SPDX-License-Identifier: Apache-2.0
// The methods an experiment file may name. A researcher's own is one add().
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/config/toml.h"
#include "recipes/methods/method.h"

namespace retain::recipes {

/// What a recipe's table says to its method.
struct MethodSetup {
  const framework::ConfigTable& settings;  ///< [recipe.NAME]; keys nobody asks for are refused by the caller
  std::vector<TrainableGroup> groups;
  bool faithful = false;                   ///< defaults as the paper's code was released
};

class MethodRegistry {
 public:
  using Maker = std::function<std::shared_ptr<const Method>(MethodSetup)>;

  /// With the methods that come with Retain.
  MethodRegistry();
  /// Throws Error(internal) for a name that is taken.
  void add(const std::string& name, Maker maker);
  std::vector<std::string> names() const;
  /// `name` is one of names(). Throws what the method's settings throw.
  std::shared_ptr<const Method> make(const std::string& name, MethodSetup setup) const;

 private:
  std::map<std::string, Maker> makers_;
};

}  // namespace retain::recipes
