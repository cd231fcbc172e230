// SPDX-License-Identifier: Apache-2.0
#include "parallel/parameter.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "framework/base/error.h"

namespace retain::parallel {

using framework::Error;
using framework::ErrorKind;

Range even_share(std::int64_t count, int parts, int part) {
  const std::int64_t base = count / parts;
  const std::int64_t rest = count % parts;
  const std::int64_t begin = part * base + std::min<std::int64_t>(part, rest);
  return {begin, begin + base + (part < rest ? 1 : 0)};
}

std::vector<std::int64_t> ParameterSpec::local_shape(int tensor_rank) const {
  std::vector<std::int64_t> local = shape;
  if (cut_dimension >= 0)
    local.at(static_cast<std::size_t>(cut_dimension)) =
        cut_blocks * cuts.at(static_cast<std::size_t>(tensor_rank)).size();
  return local;
}

bool ParameterSpec::overlapping() const {
  for (std::size_t i = 1; i < cuts.size(); ++i)
    if (cuts[i].begin < cuts[i - 1].end) return true;
  return false;
}

bool ParameterSpec::held_by(int pipeline_stage) const {
  return std::find(pipeline_stages.begin(), pipeline_stages.end(), pipeline_stage) != pipeline_stages.end();
}

at::Tensor ParameterSpec::block_view(const at::Tensor& tensor, Range range) const {
  if (cut_dimension < 0) throw Error(ErrorKind::internal, name + " is not cut");
  return tensor.unflatten(cut_dimension, {cut_blocks, tensor.size(cut_dimension) / cut_blocks})
      .narrow(cut_dimension + 1, range.begin, range.size());
}

at::Tensor ParameterSpec::slice_of(const at::Tensor& whole, int tensor_rank) const {
  if (cut_dimension < 0) return whole.contiguous();
  const Range range = cuts.at(static_cast<std::size_t>(tensor_rank));
  return block_view(whole, range).reshape(local_shape(tensor_rank)).contiguous();
}

ParameterTable::ParameterTable(std::vector<ParameterSpec> rows) : rows_(std::move(rows)) {
  for (std::size_t i = 0; i < rows_.size(); ++i) {
    const ParameterSpec& row = rows_[i];
    if (!index_.emplace(row.name, i).second)
      throw Error(ErrorKind::internal, "the parameter table names " + row.name + " twice");
    const bool in_blocks = row.cut_dimension >= 0 && row.cut_blocks > 1;
    if (in_blocks && (row.overlapping() || row.shape.at(static_cast<std::size_t>(row.cut_dimension)) % row.cut_blocks))
      throw Error(ErrorKind::internal, "the blocks of " + row.name + " cannot be cut");
  }
}

const ParameterSpec* ParameterTable::find(const std::string& name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &rows_[found->second];
}

std::int64_t ParameterTable::elements() const {
  std::int64_t total = 0;
  for (const ParameterSpec& row : rows_) total += row.elements();
  return total;
}

ParameterSet::ParameterSet(std::vector<Parameter> parameters, std::shared_ptr<Extension> extension)
    : parameters_(std::move(parameters)), extension_(std::move(extension)) {
  for (std::size_t i = 0; i < parameters_.size(); ++i) index_.emplace(parameters_[i].spec.name, i);
}

at::Tensor ParameterSet::at(const std::string& name) const { return parameter(name).value; }

const Parameter& ParameterSet::parameter(const std::string& name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) throw Error(ErrorKind::internal, "this rank does not hold parameter " + name);
  return parameters_[found->second];
}

}  // namespace retain::parallel
