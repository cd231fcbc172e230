// SPDX-License-Identifier: Apache-2.0
#include "launch/command/model_options.h"

#include "recipes/planning/memory_check.h"

namespace retain::launch {

void ModelOptions::add_to(CLI::App& command) {
  command.add_option("--model", model, "Model directory, as downloaded from the hub")->required();
  command.add_option("--dtype", dtype, "float32 or bfloat16")->check(CLI::IsMember({"float32", "bfloat16"}));
  command.add_option("--mode", mode, "clean or faithful labels and pictures")->check(CLI::IsMember({"clean", "faithful"}));
  command.add_option("--images", images, "Folder of relative image paths (default: that of the records)");
  command.add_option("--tensor", tensor, "Ranks on the tensor axis")->check(CLI::PositiveNumber);
  command.add_option("--pipeline", pipeline, "Ranks on the pipeline axis")->check(CLI::PositiveNumber);
}

framework::LabelMode ModelOptions::label_mode() const { return framework::label_mode_from_name(mode); }

OpenedModel::OpenedModel(const Session& session, const ModelOptions& options)
    : log(session.log()),
      mesh(session.world(), parallel::mesh_for(session.world()->size(), options.tensor, options.pipeline)),
      kit(options.model, mesh, framework::dtype_from_name(options.dtype), options.label_mode()) {}

std::unique_ptr<models::Lmm> OpenedModel::load() const {
  recipes::require_memory(mesh.world(), kit.held_bytes());
  return kit.load_and_tell(*kit.open_weights(), {}, true, log);
}

}  // namespace retain::launch
