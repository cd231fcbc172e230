// SPDX-License-Identifier: Apache-2.0
// Options shared by the commands that open a model: where it is, how it is cut, in which precision it computes.
#pragma once
#include <memory>
#include <string>

#include "launch/command/commands.h"
#include "recipes/study/model_kit.h"

namespace retain::launch {

struct ModelOptions {
  std::string model;
  std::string dtype = "float32";
  std::string mode = "clean";
  std::string images;
  int tensor = 1;
  int pipeline = 1;

  void add_to(CLI::App& command);
  framework::LabelMode label_mode() const;
};

/// A mesh over all ranks and a model kit on it.
struct OpenedModel {
  OpenedModel(const Session& session, const ModelOptions& options);
  /// Throws Error(mesh_invalid) before anything is read where the node has not the memory for its ranks' weights.
  std::unique_ptr<models::Lmm> load() const;

  const framework::Log& log;
  parallel::Mesh mesh;
  recipes::ModelKit kit;
};

}  // namespace retain::launch
