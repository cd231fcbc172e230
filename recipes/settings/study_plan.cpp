// SPDX-License-Identifier: Apache-2.0
#include "recipes/settings/study_plan.h"

#include <algorithm>
#include <limits>
#include <map>
#include <numeric>
#include <set>
#include <utility>

#include "framework/base/error.h"
#include "framework/base/random.h"
#include "framework/config/nearest.h"
#include "recipes/settings/experiment.h"

namespace retain::recipes {
namespace {

using framework::ConfigTable;
using framework::Error;
using framework::ErrorKind;
using Positions = std::vector<std::size_t>;

constexpr std::int64_t kMostOrders = 5040;       // of seven tasks
constexpr std::size_t kMostInName = 12;

Positions given(std::size_t tasks) {
  Positions order(tasks);
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

/// n!, at most kMostOrders + 1.
std::int64_t orders_there_are(std::size_t tasks) {
  std::int64_t orders = 1;
  for (std::size_t n = 2; n <= tasks && orders <= kMostOrders; ++n) orders *= static_cast<std::int64_t>(n);
  return std::min(orders, kMostOrders + 1);
}

std::vector<Positions> all_orders(const ConfigTable& study, std::size_t tasks) {
  if (orders_there_are(tasks) > kMostOrders)
    throw Error(ErrorKind::config_invalid,
                {study.where("orders"), "at most seven tasks, which have " + std::to_string(kMostOrders) + " orders",
                 std::to_string(tasks), "draw some: orders = { random = 10 }"});
  std::vector<Positions> orders;
  Positions order = given(tasks);
  do orders.push_back(order);
  while (std::next_permutation(order.begin(), order.end()));
  return orders;
}

std::vector<Positions> random_orders(const ConfigTable& study, std::size_t tasks) {
  const ConfigTable drawn = study.table("orders");
  const std::int64_t count = drawn.integer("random", std::nullopt, 1, std::min(kMostOrders, orders_there_are(tasks)));
  const std::int64_t seed = drawn.integer("seed", 0, 0, std::numeric_limits<std::int64_t>::max());
  framework::Random random(static_cast<std::uint64_t>(seed), "study/orders");
  std::vector<Positions> orders;
  while (std::cmp_less(orders.size(), count)) {
    const std::vector<std::int64_t> drawn_order = random.permutation(static_cast<std::int64_t>(tasks));
    Positions order(drawn_order.begin(), drawn_order.end());
    if (std::find(orders.begin(), orders.end(), order) == orders.end()) orders.push_back(std::move(order));
  }
  return orders;
}

std::vector<Positions> listed_orders(const ConfigTable& study, const std::vector<std::string>& tasks) {
  std::vector<Positions> orders;
  const auto refuse = [&](const std::string& expected, const std::string& found, const std::string& remedy) {
    throw Error(ErrorKind::config_invalid, {study.where("orders"), expected, found, remedy});
  };
  for (const std::vector<std::string>& list : study.text_lists("orders")) {
    Positions order;
    for (const std::string& name : list) {
      const auto found = std::find(tasks.begin(), tasks.end(), name);
      if (found == tasks.end()) refuse("names of [[task]] entries", name, framework::did_you_mean(name, tasks));
      const auto position = static_cast<std::size_t>(found - tasks.begin());
      if (std::find(order.begin(), order.end(), position) != order.end())
        refuse("every task once in an order", name + " twice", "name it once");
      order.push_back(position);
    }
    if (order.empty()) refuse("at least one task in an order", "an empty list", "name its tasks");
    if (std::find(orders.begin(), orders.end(), order) != orders.end())
      refuse("orders that differ", "the same order twice", "leave one out");
    orders.push_back(std::move(order));
  }
  if (orders.empty()) refuse("at least one order", "an empty list", "leave `orders` out, or list some");
  return orders;
}

std::string name_of(const Positions& order, std::size_t tasks, std::size_t index) {
  if (order == given(tasks)) return "given";
  if (order.size() > kMostInName) return "order" + std::to_string(index + 1);
  std::string name;
  for (const std::size_t position : order) name += (name.empty() ? "" : "-") + std::to_string(position + 1);
  return name;
}

std::vector<Positions> read_orders(const ConfigTable& study, const std::vector<std::string>& tasks) {
  if (!study.has("orders")) return {given(tasks.size())};
  if (study.has_text("orders"))
    return study.choice("orders", {"given", "all"}, "given") == "all" ? all_orders(study, tasks.size())
                                                                      : std::vector<Positions>{given(tasks.size())};
  return study.has_table("orders") ? random_orders(study, tasks.size()) : listed_orders(study, tasks);
}

}  // namespace

StudyPlan read_study(const ConfigTable& study, const std::vector<std::string>& tasks) {
  StudyPlan plan;
  for (Positions& order : read_orders(study, tasks)) {
    std::string name = name_of(order, tasks.size(), plan.orders.size());
    plan.orders.push_back({std::move(name), std::move(order)});
  }
  for (const std::int64_t seed : study.integers("seeds")) {
    const auto value = static_cast<std::uint64_t>(seed);
    if (seed < 0 || std::find(plan.seeds.begin(), plan.seeds.end(), value) != plan.seeds.end())
      throw Error(ErrorKind::config_invalid,
                  {study.where("seeds"), "whole numbers from 0, each once", std::to_string(seed), "correct the list"});
    plan.seeds.push_back(value);
  }
  plan.concurrent_branches = static_cast<int>(study.integer("concurrent_branches", 1, 1, 1 << 16));
  return plan;
}

TrainSettings PlannedBranch::settings(const Task& task) const {
  TrainSettings settings = recipe->settings(task.settings);
  if (seed) settings.seed = *seed;
  return settings;
}

std::vector<PlannedBranch> branches_of(const Experiment& experiment) {
  const StudyPlan& study = experiment.study;
  std::vector<std::optional<std::uint64_t>> seeds(study.seeds.begin(), study.seeds.end());
  if (seeds.empty()) seeds.emplace_back();
  std::vector<PlannedBranch> branches;
  std::set<std::string> names;
  for (const auto& seed : seeds)
    for (const Recipe& recipe : experiment.recipes)
      for (const TeachingOrder& order : study.orders) {
        std::string name = recipe.name;
        if (study.orders.size() > 1) name += "." + order.name;
        if (seeds.size() > 1) name += ".s" + std::to_string(*seed);
        if (!names.insert(name).second)
          throw Error(ErrorKind::config_invalid, {"two branches of the study would be named " + name,
                                                  "a name of its own for every branch", name, "rename a recipe"});
        branches.push_back({std::move(name), &recipe, &order, seed});
      }
  return branches;
}

StudyTree tree_of(const std::vector<PlannedBranch>& branches) {
  StudyTree tree;
  std::map<std::pair<std::string, Positions>, std::size_t> known;
  for (const PlannedBranch& branch : branches) {
    const std::string start = branch.recipe->name + (branch.seed ? "/" + std::to_string(*branch.seed) : "");
    Positions taught;
    std::vector<std::size_t>& path = tree.paths.emplace_back();
    for (std::size_t place = 0; place < branch.order->tasks.size(); ++place) {
      taught.push_back(branch.order->tasks[place]);
      const auto [found, fresh] = known.emplace(std::pair(start, taught), tree.stages.size());
      if (fresh) tree.stages.push_back({&branch, place, path.empty() ? std::nullopt : std::optional(path.back())});
      path.push_back(found->second);
    }
  }
  for (std::size_t i = tree.stages.size(); i-- > 0;)
    if (const auto parent = tree.stages[i].parent) tree.stages[*parent].weight += tree.stages[i].weight;
  return tree;
}

}  // namespace retain::recipes
