// SPDX-License-Identifier: Apache-2.0
// An experiment file: which model, which recipes, which tasks in which order, how they are trained and measured.
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/dtype.h"
#include "framework/config/toml.h"
#include "framework/data/mixture.h"
#include "framework/data/row_records.h"
#include "framework/report/study.h"
#include "framework/text/chat.h"
#include "recipes/evaluation/evaluation.h"
#include "recipes/methods/method.h"
#include "recipes/settings/extras.h"
#include "recipes/settings/probe_settings.h"
#include "recipes/settings/study_plan.h"
#include "recipes/settings/train_settings.h"
#include "recipes/settings/watch_settings.h"
#include "recipes/training/trainable.h"

namespace retain::recipes {

enum class Mode { clean, faithful };

/// One skill to teach.
struct Task {
  std::string name;
  std::filesystem::path train;       ///< LLaVA JSON, JSONL or mixture YAML; with a source any table (framework/data/row_table.h)
  std::filesystem::path images;      ///< root of relative image paths; empty: the folder of the data file
  std::shared_ptr<const framework::SourceFields> source;  ///< how rows become records; null: the file holds records
  framework::MixtureMode mixture = framework::MixtureMode::clean;
  TrainSettings settings;            ///< [train] with the task's own keys over it
  std::int64_t records = 0;          ///< that `train` is said to hold, for dry runs where it is not at hand; 0: not said
};

/// Questions with reference answers. `target` benchmarks belong to a task, the others to none.
struct Benchmark {
  std::string name;
  std::filesystem::path data;  ///< with a source any table; else JSONL: a LLaVA record whose last answer is the
                               ///< reference, optional "references", "options", "question", "category"
  std::filesystem::path images;
  std::shared_ptr<const framework::SourceFields> source;
  Scoring scoring;
  framework::BenchmarkKind kind = framework::BenchmarkKind::held_out;
  std::string task;                  ///< of a target: the task it measures
  std::int64_t max_new_tokens = 16;
  std::int64_t limit = 0;            ///< first records only; 0: all
};

/// A way of teaching: a branch of the experiment from the same base.
struct Recipe {
  std::string name;
  std::vector<TrainableGroup> groups;
  std::shared_ptr<const Method> method = nullptr;  ///< null: cross-entropy on those parameters, nothing else
  std::int64_t global_batch = 0;                   ///< of every stage it teaches; 0: as the tasks say

  /// A task's settings as this recipe trains it.
  TrainSettings settings(TrainSettings task) const;
};

struct Experiment {
  std::filesystem::path file;        ///< empty when everything came from --set
  std::filesystem::path model;
  framework::DType dtype = framework::DType::float32;
  int tensor = 1;
  int pipeline = 1;
  Mode mode = Mode::clean;           ///< labels and alpha as the paper says, or as its code was released
  OnBad bad_records = OnBad::stop;
  std::filesystem::path data_root;   ///< of relative data paths; empty: the folder of the file that names them
  TrainSettings train;
  std::vector<Recipe> recipes;
  MethodRegistry methods;            ///< that a recipe or a stored stage may name
  std::vector<Task> tasks;           ///< in teaching order
  StudyPlan study;                   ///< in which orders and with which seeds every recipe teaches them
  std::vector<Benchmark> benchmarks;
  std::vector<Probe> probes;
  std::vector<Watch> watches;        ///< rules that act while a stage is taught
  std::int64_t evaluation_batch = 8;
  std::filesystem::path store;
  bool store_asynchronous = false;   ///< commits and checkpoints are written while training goes on
  std::filesystem::path log;         ///< JSON lines, one an optimizer step; empty: none
  std::int64_t feature_memory = std::int64_t{1} << 30;  ///< bytes of frozen vision features kept in memory
  std::int64_t feature_disk = 0;                        ///< and on disk under the store; 0: none
  double watchdog_seconds = 600;
};

/// "clean" or "faithful", as results record it.
const char* name_of(Mode mode);
/// Which tokens of a conversation are supervised.
framework::LabelMode label_mode(const Experiment& experiment);

/// Reads an experiment. `file` may be empty: then overrides alone say everything. Relative paths are taken from the folder
/// of the file that names them; model.path and store.path given by --set, from the working directory.
/// `extras`: what it may name beside Retain's own. Throws Error(config_invalid) naming file, line and key.
Experiment read_experiment(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                           const Extras& extras = {});

/// The same as JSON, complete with defaults: what a stage records as its inputs. Paths and the mesh are left out.
std::string describe_settings(const TrainSettings& settings);

}  // namespace retain::recipes
