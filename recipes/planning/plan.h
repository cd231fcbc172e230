// SPDX-License-Identifier: Apache-2.0
// What an experiment would need on every mesh its ranks allow, before anything is loaded: bytes of a rank, bounds on time.
// Needs config.json alone; with a tokenizer and the tasks' files the lengths are the records' own.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "recipes/planning/memory_model.h"
#include "recipes/settings/experiment.h"

namespace retain::recipes {

/// Samples as they come, for plans. Means and largest values of one sample.
struct SampleSizes {
  BatchSize mean;
  BatchSize largest;
  std::int64_t looked_at = 0;       ///< records; 0: assumed, not seen
  bool of_one_length = false;       ///< all that were looked at have as many tokens
  std::int64_t patches_in_all = 0;  ///< of all pictures that are taught, estimated from those looked at
};

struct PlanRequest {
  int ranks = 1;
  std::int64_t memory = 0;       ///< bytes a rank may use; 0: no limit given
  double flops = 0;              ///< floating-point operations a second that a rank reaches; 0: no time is given
  double bandwidth = 0;          ///< bytes a second between ranks; 0: messages take no time
  SampleSizes assumed;           ///< used where the tasks' records cannot be looked at
};

/// A recipe on a mesh.
struct LayoutPlan {
  parallel::MeshShape shape;
  std::vector<RankMemory> ranks;      ///< by pipeline stage and tensor rank (stage · tensors + rank), of one replica
  std::size_t fullest = 0;            ///< index of the rank with the largest total
  double operations = 0;              ///< floating-point operations of a global batch, all ranks together
  double bubble = 0;                  ///< share of the time a pipeline stage waits, (p − 1) / (m + p − 1)
  double message_bytes = 0;           ///< sent by a rank in one step
  std::optional<double> seconds;      ///< lower bound of one step, where flops are given
  bool fits = true;
  std::string obstacle;               ///< why the mesh is impossible; then nothing else is filled in
};

struct RecipePlan {
  std::string name;
  std::vector<LayoutPlan> layouts;     ///< every mesh of `ranks`: pipeline, then tensor, ascending
  std::optional<std::size_t> chosen;   ///< fits, and the quickest of those (the least memory where no time is known)
};

struct Plan {
  SampleSizes sizes;
  std::string family;
  std::int64_t parameters = 0;
  std::vector<RecipePlan> recipes;
};

/// Up to 512 records of every task, spread over it; unusable ones are passed over. Throws Error(data_empty) when none is left.
SampleSizes look_at_tasks(const Experiment& experiment, const models::LmmConfig& config);

/// A recipe on one rank of a mesh. Throws Error(mesh_invalid) where the mesh is impossible.
RankMemory plan_rank(const Experiment& experiment, const models::LmmConfig& config, const SampleSizes& sizes, const Recipe& recipe,
                     const parallel::MeshShape& shape, int pipeline_stage, int tensor_rank);

/// Throws Error(config_invalid) without model.path, and what reading the configuration and the records throws.
Plan make_plan(const Experiment& experiment, const PlanRequest& request);

framework::json::object plan_json(const Plan& plan);
/// Lines of at most 120 characters. Ends with a newline.
std::string plan_text(const Plan& plan, const PlanRequest& request);

}  // namespace retain::recipes
