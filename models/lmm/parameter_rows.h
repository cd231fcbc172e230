// SPDX-License-Identifier: Apache-2.0
// Builds a model's parameter table row by row.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "framework/base/dtype.h"
#include "parallel/parameter.h"

namespace retain::models {

class ParameterRows {
 public:
  ParameterRows(int tensor_ranks, framework::DType dtype) : tensor_ranks_(tensor_ranks), dtype_(dtype) {}

  int tensor_ranks() const { return tensor_ranks_; }
  /// The pipeline stages that hold the rows that follow.
  void on_stages(std::vector<int> stages) { stages_ = std::move(stages); }
  /// A row that every tensor rank holds whole.
  void whole(std::string name, std::vector<std::int64_t> shape);
  /// A row of which tensor rank r holds share(r) along `dimension`.
  void cut(std::string name, std::vector<std::int64_t> shape, int dimension, const std::function<parallel::Range(int)>& share);
  /// The same, `parts` things of `size` rows or columns each, shared as evenly as can be.
  void cut_evenly(std::string name, std::vector<std::int64_t> shape, int dimension, std::int64_t parts, std::int64_t size = 1);
  /// The same for a fused row: along its first dimension lie `blocks` times `parts` things, and a rank holds the same ones of
  /// each block.
  void cut_blocks_evenly(std::string name, std::vector<std::int64_t> shape, int blocks, std::int64_t parts, std::int64_t size);
  std::vector<parallel::ParameterSpec> take() { return std::move(rows_); }

 private:
  parallel::ParameterSpec row(std::string name, std::vector<std::int64_t> shape) const;

  int tensor_ranks_;
  framework::DType dtype_;
  std::vector<int> stages_;
  std::vector<parallel::ParameterSpec> rows_;
};

}  // namespace retain::models
