// SPDX-License-Identifier: Apache-2.0
// Where weights come from: a Hugging Face directory, a stage of a store, or a blend that is never written. All names
// are canonical, all shapes global.
#pragma once
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "framework/base/dtype.h"
#include "parallel/parameter.h"

namespace retain::models {

/// Dtype and global shape of a tensor as it is stored.
struct TensorInfo {
  framework::DType dtype = framework::DType::float32;
  std::vector<std::int64_t> shape;
};

class WeightSource {
 public:
  virtual ~WeightSource() = default;
  /// Every tensor that has a canonical name.
  virtual std::vector<std::string> names() const = 0;
  /// Empty when there is no such tensor.
  virtual std::optional<TensorInfo> find(const std::string& name) const = 0;
  /// A new contiguous tensor of the stored dtype: rows `range` of `dimension`, the whole tensor for dimension -1.
  /// Touches only the bytes asked for.
  virtual at::Tensor read(const std::string& name, int dimension, parallel::Range range) const = 0;
  /// The tensor as messages name it: its own name in its own file.
  virtual std::string describe(const std::string& name) const = 0;
  /// Tensors that no canonical name fits and that may not be passed over.
  virtual std::vector<std::string> surplus() const { return {}; }
};

}  // namespace retain::models
