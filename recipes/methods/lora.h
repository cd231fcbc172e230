// SPDX-License-Identifier: Apache-2.0
// Low-rank adapters (Hu et al. 2021, arXiv 2106.09685): beside a linear layer W lies s·B·A with A [r,I] and B [O,r], cut with
// the layer. s is alpha / r, or alpha / √r (rsLoRA: Kalajdzievski 2023, arXiv 2312.03732).
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "recipes/methods/peft_files.h"
#include "recipes/methods/registry.h"

namespace retain::recipes {

struct LoraSettings {
  std::int64_t rank = 8;
  double alpha = 16;
  double dropout = 0;      ///< of the adapter's input, language layers only
  bool rank_stabilised = false;
  bool merge = true;       ///< work the adapters into the weights at the stage's end and begin the next with new ones
  std::vector<std::string> also_train;  ///< patterns of parameters that train as they are
  double scale() const;
};

class Lora final : public Method {
 public:
  /// Keys: rank, alpha, dropout, rslora, merge, also_train ([]; ["projector"] in faithful mode, as released), adapter (a folder
  /// in PEFT's format the adapters of a branch's first stage begin with). Throws Error(config_invalid) and what reading that folder throws.
  explicit Lora(MethodSetup setup);

  framework::json::object describe() const override;
  /// Without the folder's digest where new adapters begin as if there were no folder.
  framework::json::object describe_stage(bool first) const override;
  /// Throws what PeftTensors::check throws.
  void check(const models::LmmConfig& config, const parallel::ParameterTable& table) const override;
  std::vector<Selected> select(const parallel::ParameterTable& table) const override;
  std::vector<parallel::ParameterSpec> own_parameters(const parallel::ParameterTable& table) const override;
  /// A: uniform in ±1/√I (Kaiming, a = √5), B: zero; in a branch's first stage the values of the folder named by `adapter`.
  void initialise(parallel::Parameter& parameter, const OwnStart& start) const override;
  std::shared_ptr<parallel::Extension> extension(const parallel::ParameterTable& table) const override;
  bool keeps_own_parameters() const override { return !settings_.merge; }
  std::vector<std::string> changed(const parallel::ParameterTable& table) const override;
  std::unique_ptr<MethodRun> begin(const MethodStart& start) const override;

  const LoraSettings& settings() const noexcept { return settings_; }

 private:
  /// The linear layers that get an adapter, by the name of their weight, with their group.
  std::vector<Selected> adapted(const parallel::ParameterTable& table) const;

  LoraSettings settings_;
  std::optional<PeftTensors> adapter_;  ///< nothing: every adapter begins new
  std::string adapter_digest_;
};

/// "PREFIX.lora_A.weight" and "PREFIX.lora_B.weight" for a weight "PREFIX.weight".
std::string lora_a_of(const std::string& weight);
std::string lora_b_of(const std::string& weight);

}  // namespace retain::recipes
