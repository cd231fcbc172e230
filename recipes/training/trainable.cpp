// SPDX-License-Identifier: Apache-2.0
// Named recipes, globs and layer ranges over the parameter table.
#include "recipes/training/trainable.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "framework/base/error.h"
#include "framework/config/nearest.h"

namespace retain::recipes {

using framework::Error;
using framework::ErrorKind;
using parallel::ParameterTable;

namespace {

struct NamedRecipe {
  const char* name;
  const char* description;
  std::vector<const char*> globs;
};

constexpr const char* kLayers = "layers:";

const std::vector<NamedRecipe>& named_recipes() {
  static const std::vector<NamedRecipe> recipes = {
      {"full", "every parameter: vision tower, projector, decoder, embeddings and head", {"*"}},
      {"llm", "the decoder with embeddings, norms, head and image_newline", {"language.*", "image_newline"}},
      {"sa_proj", "self-attention projections q, k, v, o of every decoder layer, weights and biases",
       {"language.layers.*.self_attn.q_proj.*", "language.layers.*.self_attn.k_proj.*",
        "language.layers.*.self_attn.v_proj.*", "language.layers.*.self_attn.o_proj.*"}},
      {"sa_qkv", "self-attention projections q, k, v",
       {"language.layers.*.self_attn.q_proj.*", "language.layers.*.self_attn.k_proj.*",
        "language.layers.*.self_attn.v_proj.*"}},
      {"sa_vo", "self-attention projections v, o",
       {"language.layers.*.self_attn.v_proj.*", "language.layers.*.self_attn.o_proj.*"}},
      {"mlp", "gate, up and down projections of every decoder layer", {"language.layers.*.mlp.*"}},
      {"mlp_gate_up", "gate and up projections of every decoder layer; down stays frozen",
       {"language.layers.*.mlp.gate_proj.*", "language.layers.*.mlp.up_proj.*"}},
      {"mlp_down", "down projections of every decoder layer", {"language.layers.*.mlp.down_proj.*"}},
      {"vision", "the vision tower", {"vision.*"}},
      {"projector", "the projector's linear layers", {"projector.*"}},
      {"vision_projector", "vision tower and projector", {"vision.*", "projector.*"}},
  };
  return recipes;
}

/// Iterative matching with one backtrack point: linear in practice, never exponential.
bool glob_matches(std::string_view glob, std::string_view text) {
  std::size_t g = 0, t = 0;
  std::optional<std::size_t> star;
  std::size_t resume = 0;
  while (t < text.size()) {
    if (g < glob.size() && glob[g] == '*') {
      star = g++;
      resume = t;
    } else if (g < glob.size() && (glob[g] == '?' || glob[g] == text[t])) {
      ++g;
      ++t;
    } else if (star) {
      g = *star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (g < glob.size() && glob[g] == '*') ++g;
  return g == glob.size();
}

/// The decoder layer a canonical name belongs to, -1 for none.
std::int64_t layer_of(std::string_view name) {
  constexpr std::string_view prefix = "language.layers.";
  if (!name.starts_with(prefix)) return -1;
  std::int64_t layer = -1;
  std::from_chars(name.data() + prefix.size(), name.data() + name.size(), layer);
  return layer;
}

std::int64_t count_layers(const ParameterTable& table) {
  std::int64_t layers = 0;
  for (const auto& row : table.rows()) layers = std::max(layers, layer_of(row.name) + 1);
  return layers;
}

/// "3-5" or "3".
std::optional<parallel::Range> parse_layers(std::string_view text) {
  std::int64_t first = 0, last = 0;
  const char* end = text.data() + text.size();
  auto [after_first, error] = std::from_chars(text.data(), end, first);
  if (error != std::errc() || first < 0) return std::nullopt;
  if (after_first == end) return parallel::Range{first, first + 1};
  if (*after_first != '-') return std::nullopt;
  auto [after_last, last_error] = std::from_chars(after_first + 1, end, last);
  if (last_error != std::errc() || after_last != end || last < first) return std::nullopt;
  return parallel::Range{first, last + 1};
}

std::vector<bool> match_layers(const ParameterTable& table, const std::string& pattern) {
  const std::int64_t layers = count_layers(table);
  const auto range = parse_layers(std::string_view(pattern).substr(std::string_view(kLayers).size()));
  if (!range || range->end > layers)
    throw Error(ErrorKind::recipe_matches_nothing,
                {"the pattern \"" + pattern + "\" selects no decoder layers of this model",
                 "layers:a-b with 0 <= a <= b < " + std::to_string(layers), pattern, "name layers the model has"});
  std::vector<bool> matched(table.rows().size());
  for (std::size_t i = 0; i < matched.size(); ++i) {
    const std::int64_t layer = layer_of(table.rows()[i].name);
    matched[i] = layer >= range->begin && layer < range->end;
  }
  return matched;
}

std::vector<bool> match_globs(const ParameterTable& table, const std::vector<std::string>& globs) {
  std::vector<bool> matched(table.rows().size());
  for (std::size_t i = 0; i < matched.size(); ++i)
    matched[i] = std::any_of(globs.begin(), globs.end(),
                             [&](const std::string& glob) { return glob_matches(glob, table.rows()[i].name); });
  return matched;
}

[[noreturn]] void refuse(const ParameterTable& table, const std::string& pattern) {
  std::set<std::string> generals;
  for (const auto& row : table.rows()) generals.insert(without_indices(row.name));
  std::vector<std::string> candidates = recipe_names();
  candidates.insert(candidates.end(), generals.begin(), generals.end());
  std::string names;
  for (const std::string& name : recipe_names()) names += (names.empty() ? "" : ", ") + name;
  throw Error(ErrorKind::recipe_matches_nothing,
              {"the pattern \"" + pattern + "\" selects no parameter of this model",
               "one of " + names + ", layers:a-b, or a glob over canonical names such as \"language.layers.*.mlp.*\"",
               pattern, framework::did_you_mean(pattern, candidates, "list the names with `retain run --dry-run`")});
}

/// The rows one pattern without '+' selects; at least one.
std::vector<bool> match(const ParameterTable& table, const std::string& pattern) {
  if (pattern.starts_with(kLayers)) return match_layers(table, pattern);
  std::vector<std::string> globs = {pattern};
  for (const NamedRecipe& recipe : named_recipes())
    if (pattern == recipe.name) globs.assign(recipe.globs.begin(), recipe.globs.end());
  std::vector<bool> matched = match_globs(table, globs);
  if (std::find(matched.begin(), matched.end(), true) == matched.end()) refuse(table, pattern);
  return matched;
}

std::vector<std::string> split_union(const std::string& text) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  for (std::size_t plus; (plus = text.find('+', begin)) != std::string::npos; begin = plus + 1)
    parts.push_back(text.substr(begin, plus - begin));
  parts.push_back(text.substr(begin));
  for (std::string& part : parts) {
    const std::size_t first = part.find_first_not_of(" \t");
    const std::size_t last = part.find_last_not_of(" \t");
    part = first == std::string::npos ? "" : part.substr(first, last - first + 1);
  }
  return parts;
}

}  // namespace

std::vector<std::string> recipe_names() {
  std::vector<std::string> names;
  for (const NamedRecipe& recipe : named_recipes()) names.emplace_back(recipe.name);
  return names;
}

std::string recipe_description(const std::string& name) {
  for (const NamedRecipe& recipe : named_recipes())
    if (name == recipe.name) return recipe.description;
  throw Error(ErrorKind::internal, "there is no recipe named " + name);
}

std::string without_indices(const std::string& name) {
  std::string general;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('.', begin), name.size());
    const std::string part = name.substr(begin, end - begin);
    const bool is_number = !part.empty() && part.find_first_not_of("0123456789") == std::string::npos;
    general += (begin ? "." : "") + (is_number ? std::string("*") : part);
    begin = end + 1;
  }
  return general;
}

std::vector<Selected> select(const ParameterTable& table, const std::vector<TrainableGroup>& groups) {
  std::vector<std::optional<std::size_t>> group_of(table.rows().size());
  std::vector<bool> frozen(table.rows().size());
  for (std::size_t g = 0; g < groups.size(); ++g)
    for (const std::string& text : groups[g].patterns) {
      const bool freezes = text.starts_with('!');
      for (const std::string& pattern : split_union(freezes ? text.substr(1) : text)) {
        const std::vector<bool> matched = match(table, pattern);
        for (std::size_t i = 0; i < matched.size(); ++i) {
          if (matched[i] && freezes) frozen[i] = true;
          if (matched[i] && !freezes && !group_of[i]) group_of[i] = g;
        }
      }
    }
  std::vector<Selected> selected;
  for (std::size_t i = 0; i < group_of.size(); ++i)
    if (group_of[i] && !frozen[i]) selected.push_back({table.rows()[i].name, *group_of[i]});
  if (selected.empty())
    throw Error(ErrorKind::recipe_matches_nothing,
                {"the recipe trains no parameters", "a recipe name or patterns, not all of them frozen again", "none left", "set `train`"});
  return selected;
}

void mark_trainable(parallel::ParameterSet& parameters, const std::vector<Selected>& selected) {
  std::set<std::string> names;
  for (const Selected& one : selected) names.insert(one.name);
  for (parallel::Parameter& parameter : parameters.all()) {
    parameter.value.mutable_grad() = at::Tensor();
    parameter.value.requires_grad_(names.contains(parameter.spec.name));
  }
}

}  // namespace retain::recipes
