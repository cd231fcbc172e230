// SPDX-License-Identifier: Apache-2.0
// One model from several that were taught from the same base, by what each changed: task arithmetic (Ilharco et al. 2023,
// arXiv 2212.04089), TIES (Yadav et al. 2023, arXiv 2306.01708) and DARE (Yu et al. 2024, arXiv 2311.03099).
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "framework/store/stage_reader.h"
#include "framework/store/store_lock.h"
#include "framework/store/tensor_source.h"

namespace retain::framework {

/// With τᵢ = θᵢ − θ₀ the changes of model i, wᵢ its weight and λ `scale`:
enum class MergeKind : std::uint8_t {
  task_arithmetic,  ///< θ₀ + λ Σ wᵢ τᵢ; a negative weight takes a task away
  ties,             ///< of every τᵢ and tensor the `density` largest magnitudes stay (all equal to the last of them too); each
                    ///< element takes the sign of the majority of wᵢ τᵢ; θ₀ + λ Σ wᵢ τᵢ / Σ |wᵢ| over those that agree with
                    ///< it; a negative weight votes against its task and takes it away
  dare,             ///< every element of τᵢ stays with probability `density` and is divided by it; then task arithmetic
  dare_ties,        ///< the same, then the majority's sign and mean as in TIES
};

/// The majority's sign of an element: of the weighted sum (what cancels out counts as positive), or of the number of signs.
enum class SignRule : std::uint8_t { sum, count };

struct MergeSettings {
  MergeKind kind = MergeKind::task_arithmetic;
  std::vector<double> weights;  ///< one a model; empty: 1 each
  double scale = 1;             ///< λ
  double density = 1;           ///< in (0, 1]; task arithmetic keeps everything
  SignRule sign = SignRule::sum;
  std::uint64_t seed = 0;       ///< of DARE; a model's own stream is named by its place in the list and the tensor
};

/// "task_arithmetic", "ties", "dare", "dare_ties".
const std::vector<std::string>& merge_kind_names();
/// Throws Error(usage) for another name.
MergeKind merge_kind_from_name(const std::string& name);

/// A merge that is never written. Arithmetic is in float64, rounded once to the stored dtype; tensors that no model changed
/// pass through untouched. Thread-safe where the sources are.
class MergeView : public TensorSource {
 public:
  /// Order and dtypes are those of `base`. Throws Error(checkpoint_missing_tensor) and Error(checkpoint_shape_mismatch) for
  /// models that do not fit, Error(usage) for settings that do not. TIES reads every changed tensor once here.
  MergeView(std::shared_ptr<const TensorSource> base, std::vector<std::shared_ptr<const TensorSource>> models, MergeSettings settings);

  const std::vector<TensorInfo>& tensors() const override { return base_->tensors(); }
  void read(const std::string& name, std::int64_t first, std::span<std::byte> out) const override;
  std::int64_t bytes_read() const override;
  /// Tensors that some model changed.
  bool changed(const std::string& name) const { return thresholds_.contains(name); }

 private:
  std::vector<double> changes(std::size_t model, const TensorInfo& tensor, std::int64_t first, const std::vector<double>& base) const;

  std::shared_ptr<const TensorSource> base_;
  std::vector<std::shared_ptr<const TensorSource>> models_;
  MergeSettings settings_;
  std::map<std::string, std::vector<double>> thresholds_;  ///< by changed tensor and model: smaller magnitudes are trimmed
};

/// Writes the merge as a stage with parents {base, models…} and returns its id. Unchanged tensors become links. `info`: the stage's,
/// which does not enter its id.
std::string commit_merge(const Store& store, const StoreLock& lock, const std::string& base, const std::vector<std::string>& models,
                         const MergeSettings& settings, json::object info = {});

}  // namespace retain::framework
