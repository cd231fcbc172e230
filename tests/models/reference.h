// SPDX-License-Identifier: Apache-2.0
// The reference models and cases that Hugging Face transformers made, one folder a model: hub/, hf/ or orig/ (the model
// in that naming), cases/ and manifest.json. RETAIN_PARITY_FIXTURES names another folder of such folders.
#pragma once
#include <ATen/ATen.h>

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/base/json.h"
#include "models/lmm/lmm.h"
#include "parallel/mesh.h"

namespace retain::tests {

using Tensors = std::map<std::string, at::Tensor>;
using Selection = std::function<bool(const std::string& name)>;

inline bool everything(const std::string&) {
  return true;
}
inline bool nothing(const std::string&) {
  return false;
}

/// Every model there is, by folder name.
std::vector<std::string> reference_names();

class Reference {
 public:
  explicit Reference(const std::string& name);

  /// "single", "pair", "text".
  const std::vector<std::string>& cases() const { return cases_; }
  /// All tensors of a case's "inputs", "expected", "generate" or "grads".
  Tensors tensors(const std::string& one, const std::string& what) const;
  /// The norm of every parameter's gradient, by canonical name.
  std::map<std::string, double> gradient_norms(const std::string& one) const;
  /// A parameter's name in transformers 5's memory, in canonical form.
  std::string canonical(const std::string& name) const;
  /// What manifest.json says of a case.
  const framework::json::object& about(const std::string& one) const;

  /// Those of "hub", "hf" and "orig" that hold weights, in this order.
  std::vector<std::string> namings() const;
  std::filesystem::path model_folder(const std::string& naming) const { return folder_ / naming; }
  const std::filesystem::path& folder() const { return folder_; }
  /// The configuration of the first naming.
  const models::LmmConfig& config() const { return config_; }

  /// The samples of a case's inputs (or of its generation prompts, then without labels), padding removed.
  std::vector<models::Sample> samples(const std::string& one) const;
  std::vector<models::Sample> prompts(const std::string& one) const;

  /// The model on `mesh`, in `dtype`; every parameter whose name `trained` accepts requires a gradient.
  std::unique_ptr<models::Lmm> model(const parallel::Mesh& mesh, models::LmmOptions options, const Selection& trained,
                                     const std::string& naming = "",
                                     framework::DType dtype = framework::DType::float32) const;

 private:
  std::vector<models::Sample> samples_of(const Tensors& inputs) const;

  std::filesystem::path folder_;
  framework::json::value manifest_;
  std::vector<std::string> cases_;
  models::LmmConfig config_;
};

/// Forward pass through all pipeline stages: the last stage's hidden states, and the loss there (0 elsewhere); with
/// `backward`, gradients too.
struct StepResult {
  at::Tensor hidden_TH;
  double loss = 0;
};
StepResult run_step(models::Lmm& model, const models::MicroBatch& batch, bool backward);

/// The gradient of every parameter as a whole float32 tensor, summed over the replicas of the mesh, on every rank;
/// undefined gradients are zeros.
Tensors whole_gradients(models::Lmm& model);

}  // namespace retain::tests
