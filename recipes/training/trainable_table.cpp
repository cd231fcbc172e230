// SPDX-License-Identifier: Apache-2.0
// Counting and printing of what is trained.
#include "recipes/training/trainable_table.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <set>

#include "parallel/data_parallel.h"
#include "parallel/optimizer.h"
#include "recipes/training/train_step.h"

namespace retain::recipes {

using framework::DType;
using parallel::ParameterSpec;
using parallel::ParameterTable;

namespace {

std::set<std::string> names_of(const std::vector<Selected>& selected) {
  std::set<std::string> names;
  for (const Selected& one : selected) names.insert(one.name);
  return names;
}

std::int64_t gradient_bytes_per_element(const TrainSettings& settings, DType dtype) {
  return settings.master_weights ? 4 : framework::size_of(dtype);
}

/// "3,802,136,576".
std::string with_commas(std::int64_t number) {
  std::string digits = std::to_string(number);
  for (int i = static_cast<int>(digits.size()) - 3; i > 0; i -= 3) digits.insert(static_cast<std::size_t>(i), ",");
  return digits;
}

std::string bytes_text(std::int64_t bytes) {
  constexpr std::array units = {"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 1024 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.2f %s", value, units[unit]);
  return text.data();
}

/// Rows of the matrix product a weight takes part in, for one sample; 0 where there is none.
double rows_of(const models::LmmConfig& config, const ParameterSpec& spec, const models::Workload& workload) {
  if (spec.shape.size() < 2 || spec.name.find("embed") != std::string::npos) {
    const bool is_patch_embedding =
        spec.name.ends_with("patch_embedding.weight") || spec.name.ends_with("patch_embed.proj.weight");
    if (!is_patch_embedding) return 0;
  }
  const auto visual_tokens = static_cast<double>(workload.tiles * config.vision.tile_tokens());
  if (spec.name.starts_with("vision.")) return static_cast<double>(workload.tiles * config.vision.patches());
  if (spec.name.starts_with("projector.")) return visual_tokens;
  if (spec.name == "language.lm_head.weight") return static_cast<double>(workload.answers);
  return visual_tokens + static_cast<double>(workload.text_tokens);
}

std::string line(const char* format, const std::string& a, const std::string& b, const std::string& c, const std::string& d) {
  std::array<char, 160> text{};
  std::snprintf(text.data(), text.size(), format, a.c_str(), b.c_str(), c.c_str(), d.c_str());
  return text.data();
}

std::string rate_text(double rate) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g", rate);
  return text.data();
}

std::string percent(double part, double whole) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f %%", whole > 0 ? 100 * part / whole : 0.0);
  return text.data();
}

}  // namespace

std::vector<ParameterKind> kinds_of(const ParameterTable& table, const std::vector<Selected>& selected) {
  std::vector<ParameterKind> kinds;
  for (const Selected& one : selected) {
    const std::string name = without_indices(one.name);
    auto found = std::find_if(kinds.begin(), kinds.end(),
                              [&](const ParameterKind& kind) { return kind.name == name && kind.group == one.group; });
    if (found == kinds.end()) found = kinds.insert(kinds.end(), {name, one.group, 0, 0});
    ++found->tensors;
    found->elements += table.find(one.name)->elements();
  }
  return kinds;
}

RankBytes rank_bytes(const ParameterTable& table, const std::vector<Selected>& selected, const TrainSettings& settings,
                     const parallel::MeshShape& shape, int pipeline_stage, int tensor_rank) {
  const std::set<std::string> names = names_of(selected);
  RankBytes bytes;
  for (const ParameterSpec& row : table.rows()) {
    if (!row.held_by(pipeline_stage)) continue;
    const std::int64_t elements = framework::elements_of(row.local_shape(tensor_rank));
    bytes.weights += elements * framework::size_of(row.dtype);
    if (!names.contains(row.name)) continue;
    bytes.trained_elements += elements;
    bytes.gradients += elements * gradient_bytes_per_element(settings, row.dtype);
    const int shares = settings.zero ? shape.data : 1;
    bytes.optimizer += parallel::data_share(elements, shares, 0).size() *
                       parallel::optimizer_bytes_per_element(adamw_settings(settings), row.dtype);
  }
  return bytes;
}

BackwardWork backward_work(const models::LmmConfig& config, const ParameterTable& table,
                           const std::vector<Selected>& selected, const models::Workload& workload) {
  const std::set<std::string> names = names_of(selected);
  BackwardWork work;
  bool any_before = false, selected_before = false;
  for (const ParameterSpec& row : table.rows()) {
    const double product = 2 * rows_of(config, row, workload) * static_cast<double>(row.elements());
    work.everything_trained += product * (any_before ? 2 : 1);
    work.as_selected += product * ((names.contains(row.name) ? 1 : 0) + (selected_before ? 1 : 0));
    any_before = true;
    selected_before = selected_before || names.contains(row.name);
  }
  return work;
}

std::string trainable_table(const models::LmmConfig& config, const ParameterTable& table,
                            const std::vector<Selected>& selected, const std::vector<TrainableGroup>& groups,
                            const TrainSettings& settings, const parallel::MeshShape& shape) {
  const char* columns = "  %-56s %8s %20s %12s\n";
  std::string text = line(columns, "trained parameters", "tensors", "elements", "rate");
  std::int64_t elements = 0;
  for (const ParameterKind& kind : kinds_of(table, selected)) {
    const double rate = groups.at(kind.group).learning_rate > 0 ? groups[kind.group].learning_rate : settings.learning_rate;
    text += line(columns, kind.name, std::to_string(kind.tensors), with_commas(kind.elements), rate_text(rate));
    elements += kind.elements;
  }
  text += line(columns, "total (" + percent(static_cast<double>(elements), static_cast<double>(table.elements())) + " of the model)",
               std::to_string(selected.size()), with_commas(elements), "");
  text += line(columns, "bytes per rank", "weights", "gradients", "optimizer");
  for (int stage = 0; stage < shape.pipeline; ++stage) {
    const RankBytes bytes = rank_bytes(table, selected, settings, shape, stage, 0);
    text += line(columns, "pipeline stage " + std::to_string(stage) + ", first tensor rank", bytes_text(bytes.weights),
                 bytes_text(bytes.gradients), bytes_text(bytes.optimizer));
  }
  const BackwardWork work = backward_work(config, table, selected);
  text += "  freezing saves " + percent(work.everything_trained - work.as_selected, work.everything_trained) +
          " of the backward pass and " +
          percent(static_cast<double>(table.elements() - elements), static_cast<double>(table.elements())) +
          " of gradients, optimizer state and their messages\n";
  return text;
}

}  // namespace retain::recipes
