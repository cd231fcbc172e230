// SPDX-License-Identifier: Apache-2.0
#include "recipes/methods/registry.h"

#include "framework/base/error.h"
#include "recipes/methods/l2.h"
#include "recipes/methods/lora.h"
#include "recipes/methods/lwf.h"
#include "recipes/methods/moe.h"
#include "recipes/methods/replay.h"
#include "recipes/methods/wise_ft.h"

namespace retain::recipes {

MethodRegistry::MethodRegistry() {
  add("l2", [](MethodSetup setup) { return std::make_shared<L2>(std::move(setup)); });
  add("lora", [](MethodSetup setup) { return std::make_shared<Lora>(std::move(setup)); });
  add("lwf", [](MethodSetup setup) { return std::make_shared<Lwf>(std::move(setup)); });
  add("moe", [](MethodSetup setup) { return std::make_shared<Moe>(std::move(setup)); });
  add("replay", [](MethodSetup setup) { return std::make_shared<Replay>(std::move(setup)); });
  add("wise_ft", [](MethodSetup setup) { return std::make_shared<WiseFt>(std::move(setup)); });
}

void MethodRegistry::add(const std::string& name, Maker maker) {
  if (!makers_.emplace(name, std::move(maker)).second)
    throw framework::Error(framework::ErrorKind::internal, "there are two methods named " + name);
}

std::vector<std::string> MethodRegistry::names() const {
  std::vector<std::string> names;
  for (const auto& [name, maker] : makers_) names.push_back(name);
  return names;
}

std::shared_ptr<const Method> MethodRegistry::make(const std::string& name, MethodSetup setup) const {
  return makers_.at(name)(std::move(setup));
}

}  // namespace retain::recipes
