// SPDX-License-Identifier: Apache-2.0
// Points between two models: WiSE-FT (Wortsman et al. 2022, arXiv 2109.01903) as the continual recipe uses it,
// theta = x * A + (1 - x) * B with A the previous stage and B the fine-tuned one (arXiv 2510.08564; its released code's
// "a" is our x).
#pragma once
#include <functional>
#include <memory>
#include <map>
#include <string>
#include <vector>

#include "framework/store/stage_reader.h"
#include "framework/store/store_lock.h"
#include "framework/store/tensor_source.h"

namespace retain::framework {

/// The weight x of the first model, for each tensor.
using BlendWeights = std::function<double(const std::string& tensor)>;

/// A blend that is never written: reads mix the two sources' elements on the way. Floats of 32 bits and less are mixed
/// in float32 (both products rounded, then their sum) and rounded once to the stored dtype, to nearest even; float64 in
/// float64. Tensors whose bits are all equal in both pass through untouched, so a read does not depend on how it is cut
/// up. Thread-safe where the sources are. Holds two pieces of the size asked for.
class BlendView : public TensorSource {
 public:
  /// Order and dtypes are those of `a`. Throws Error(checkpoint_missing_tensor) for a tensor that only one side has,
  /// Error(checkpoint_shape_mismatch) for one whose shape or dtype differs, Error(usage) when x is not in [0, 1].
  /// Sources that know no digests are read once here, to find the tensors that are equal.
  BlendView(std::shared_ptr<const TensorSource> a, std::shared_ptr<const TensorSource> b, double x);
  /// Every tensor with a weight of its own.
  BlendView(std::shared_ptr<const TensorSource> a, std::shared_ptr<const TensorSource> b, const BlendWeights& weights);

  const std::vector<TensorInfo>& tensors() const override { return a_->tensors(); }
  void read(const std::string& name, std::int64_t first, std::span<std::byte> out) const override;
  std::int64_t bytes_read() const override { return a_->bytes_read() + b_->bytes_read(); }

 private:
  std::shared_ptr<const TensorSource> a_;
  std::shared_ptr<const TensorSource> b_;
  std::map<std::string, double> mixed_;  ///< weight of a, of the tensors that differ
};

/// out[i] = x * a[i] + (1 - x) * b[i] over elements of `dtype`; `out` may be `a`. Throws
/// Error(checkpoint_shape_mismatch) for integers that differ (they have no mean).
void blend_elements(DType dtype, double x, std::span<const std::byte> a, std::span<const std::byte> b,
                    std::span<std::byte> out);

/// Writes the blend of two stages as a stage with parents {a, b} and returns its id. Arrays of equal digest become
/// links; attached files are those of `a`. Errors as BlendView's and write_stage's.
/// `info`: the stage's, which does not enter its id.
std::string commit_blend(const Store& store, const StoreLock& lock, const std::string& a, const std::string& b,
                         double x, json::object info = {});
/// The same with a weight for every tensor; `inputs` says in the stage's record where they come from.
std::string commit_blend(const Store& store, const StoreLock& lock, const std::string& a, const std::string& b,
                         const BlendWeights& weights, json::object inputs, json::object info = {});

}  // namespace retain::framework
