// SPDX-License-Identifier: Apache-2.0
// The LLaVA-OneVision reference model and cases (made by Hugging Face transformers), on any mesh of a replica.
// RETAIN_PARITY_FIXTURES names another directory of the same layout.
#pragma once
#include <ATen/ATen.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "models/lmm/lmm.h"
#include "parallel/mesh.h"

namespace retain::tests {

using Tensors = std::map<std::string, at::Tensor>;

/// "…/models/llava_onevision".
std::string onevision_folder();
bool onevision_has(const std::string& file);
/// All tensors of cases/`name`.safetensors.
Tensors onevision_case(const std::string& name);

/// The samples of a case's inputs (or of its generation prompts, then without labels), padding removed.
std::vector<models::Sample> samples_of(const Tensors& inputs, const models::LmmConfig& config);
std::vector<models::Sample> prompts_of(const std::string& name, const models::LmmConfig& config);

/// The reference model on `mesh`; every parameter whose name `trained` accepts requires a gradient.
using Selection = bool (*)(const std::string& name);
std::unique_ptr<models::Lmm> onevision_model(const parallel::Mesh& mesh, models::LmmOptions options, Selection trained);
inline bool everything(const std::string&) { return true; }
inline bool nothing(const std::string&) { return false; }

/// Forward pass through all pipeline stages: the last stage's hidden states, and the loss there (0 elsewhere); with
/// `backward`, gradients too.
struct StepResult {
  at::Tensor hidden_TH;
  double loss = 0;
};
StepResult run_step(models::Lmm& model, const models::MicroBatch& batch, bool backward);

/// The gradient of every parameter as a whole tensor, on every rank of the replica; undefined gradients are zeros.
Tensors whole_gradients(models::Lmm& model);

}  // namespace retain::tests
