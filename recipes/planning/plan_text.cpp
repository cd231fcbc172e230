// SPDX-License-Identifier: Apache-2.0
// A plan for people and for programs.
#include <array>
#include <cstdio>

#include "framework/base/json.h"
#include "recipes/planning/plan.h"

namespace retain::recipes {

namespace json = framework::json;

namespace {

struct Item {
  const char* name;
  std::int64_t (*bytes)(const RankMemory&);
};
constexpr std::array kItems{
    Item{"weights", [](const RankMemory& m) { return m.state.weights; }},
    Item{"gradients", [](const RankMemory& m) { return m.state.gradients; }},
    Item{"optimizer", [](const RankMemory& m) { return m.state.optimizer; }},
    Item{"activations", [](const RankMemory& m) { return m.activations; }},
    Item{"working", [](const RankMemory& m) { return m.working; }},
    Item{"reduction", [](const RankMemory& m) { return m.reduction; }},
    Item{"pictures", [](const RankMemory& m) { return m.pictures; }},
    Item{"features", [](const RankMemory& m) { return m.features; }},
    Item{"snapshot", [](const RankMemory& m) { return m.snapshot; }},
    Item{"heap", [](const RankMemory& m) { return m.heap; }},
    Item{"total", [](const RankMemory& m) { return m.total(); }},
};

std::string formatted(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string mebibytes(std::int64_t bytes) {
  return formatted("%.0f", static_cast<double>(bytes) / (1 << 20));
}

std::string padded(std::string text, std::size_t width) {
  return text.size() < width ? std::string(width - text.size(), ' ') + text : text;
}

json::object sizes_json(const BatchSize& size) {
  return {{"tokens", size.tokens}, {"answers", size.answers}, {"patches", size.patches}, {"visual_tokens", size.visual_tokens}};
}

json::object layout_json(const LayoutPlan& layout) {
  json::object mesh{{"data", layout.shape.data}, {"pipeline", layout.shape.pipeline}, {"tensor", layout.shape.tensor}};
  if (!layout.obstacle.empty()) return {{"mesh", std::move(mesh)}, {"fits", false}, {"obstacle", layout.obstacle}};
  json::array ranks;
  for (const RankMemory& memory : layout.ranks) {
    json::object bytes;
    for (const Item& item : kItems) bytes[item.name] = item.bytes(memory);
    ranks.push_back(std::move(bytes));
  }
  json::object result{{"mesh", std::move(mesh)},          {"fits", layout.fits},     {"bytes_by_rank", std::move(ranks)},
                      {"operations", layout.operations},  {"bubble", layout.bubble}, {"message_bytes", layout.message_bytes}};
  if (layout.seconds) result["seconds"] = *layout.seconds;
  return result;
}

std::string layout_line(const LayoutPlan& layout, bool chosen) {
  std::string line = std::string(chosen ? "* " : "  ") + padded(parallel::to_string(layout.shape), 8);
  if (!layout.obstacle.empty()) return line + "  impossible: " + layout.obstacle + "\n";
  for (const Item& item : kItems) line += padded(mebibytes(item.bytes(layout.ranks[layout.fullest])), 12);
  line += padded(formatted("%.0f %%", 100 * layout.bubble), 7);
  line += padded(layout.seconds ? formatted("%.3g s", *layout.seconds) : "-", 9);
  return line + (layout.fits ? "\n" : "  no\n");
}

}  // namespace

json::object plan_json(const Plan& plan) {
  json::array recipes;
  for (const RecipePlan& recipe : plan.recipes) {
    json::array layouts;
    for (const LayoutPlan& layout : recipe.layouts) layouts.push_back(layout_json(layout));
    json::object one{{"name", recipe.name}, {"layouts", std::move(layouts)}};
    if (recipe.chosen) one["chosen"] = *recipe.chosen;
    recipes.push_back(std::move(one));
  }
  return {{"family", plan.family},
          {"parameters", plan.parameters},
          {"records_looked_at", plan.sizes.looked_at},
          {"sample", json::object{{"mean", sizes_json(plan.sizes.mean)}, {"largest", sizes_json(plan.sizes.largest)}}},
          {"recipes", std::move(recipes)}};
}

std::string plan_text(const Plan& plan, const PlanRequest& request) {
  std::string text = plan.family + ", " + formatted("%.3g", static_cast<double>(plan.parameters)) + " parameters, " +
                     std::to_string(request.ranks) + " ranks; a sample has " + std::to_string(plan.sizes.mean.tokens) +
                     " tokens (at most " + std::to_string(plan.sizes.largest.tokens) + "), " +
                     std::to_string(plan.sizes.mean.visual_tokens) + " of them visual" +
                     (plan.sizes.looked_at ? "" : ", assumed") + "\n";
  for (const RecipePlan& recipe : plan.recipes) {
    text += recipe.name + ": MiB of the fullest rank, data x pipeline x tensor\n" + padded("mesh", 10);
    for (const Item& item : kItems) text += padded(item.name, 12);
    text += " bubble     step\n";
    for (std::size_t i = 0; i < recipe.layouts.size(); ++i) text += layout_line(recipe.layouts[i], recipe.chosen == i);
    if (!recipe.chosen) text += "  no mesh of these ranks fits\n";
  }
  return text;
}

}  // namespace retain::recipes
