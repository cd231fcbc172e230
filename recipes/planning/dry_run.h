// SPDX-License-Identifier: Apache-2.0
// Everything that can be checked before training, and the plan that would be carried out.
#pragma once
#include "framework/base/json.h"
#include "framework/data/record_set.h"
#include "parallel/mesh.h"
#include "recipes/settings/experiment.h"

namespace retain::recipes {

/// `configuration`: from config.json alone. Weights, tokenizer and processor need not be there, nor data: a task then has as many
/// records as it is said to hold (`[[task]] records`), else an unknown number of steps.
enum class DryRunDepth { everything, configuration };

/// Collective over `world`. Checks the model (configuration, tensors, NaN and infinity), the mesh it would be cut over, the
/// recipes' patterns, and where tasks are named their records and image headers. Returns, the same on every rank: `model`
/// (family, parameters, dtype, files), `mesh`, `recipes` (counts, by kind too; bytes per rank; the schedule of every stage),
/// `study` (branches), `parameters` (name, shape, cut, pipeline stages, and under which recipes each is trained), `tasks`
/// (records, bad ones by name), `benchmarks`, `notes`.
/// An absent tokenizer or processor is a note unless tasks are named. Throws the first error it meets.
framework::json::object dry_run(const Experiment& experiment, parallel::Communicator& world, DryRunDepth depth = DryRunDepth::everything);

/// The same for people.
std::string describe_plan(const framework::json::object& plan);

/// Every record parsed and validated, every image's header read; nothing is left for training to stumble over but damaged pixels.
/// With OnBad::stop throws the first fault.
framework::CheckReport check_task_records(const framework::RecordSet& records, OnBad bad_records);

}  // namespace retain::recipes
