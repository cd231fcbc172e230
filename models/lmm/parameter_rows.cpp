// SPDX-License-Identifier: Apache-2.0
#include "models/lmm/parameter_rows.h"

#include <utility>

namespace retain::models {

using parallel::ParameterSpec;
using parallel::Range;

ParameterSpec ParameterRows::row(std::string name, std::vector<std::int64_t> shape) const {
  ParameterSpec spec;
  spec.name = std::move(name);
  spec.shape = std::move(shape);
  spec.dtype = dtype_;
  spec.pipeline_stages = stages_;
  return spec;
}

void ParameterRows::whole(std::string name, std::vector<std::int64_t> shape) {
  rows_.push_back(row(std::move(name), std::move(shape)));
}

void ParameterRows::cut(std::string name, std::vector<std::int64_t> shape, int dimension,
                        const std::function<Range(int)>& share) {
  ParameterSpec spec = row(std::move(name), std::move(shape));
  spec.cut_dimension = dimension;
  for (int rank = 0; rank < tensor_ranks_; ++rank) spec.cuts.push_back(share(rank));
  rows_.push_back(std::move(spec));
}

void ParameterRows::cut_evenly(std::string name, std::vector<std::int64_t> shape, int dimension, std::int64_t parts,
                               std::int64_t size) {
  cut(std::move(name), std::move(shape), dimension, [=, ranks = tensor_ranks_](int rank) {
    const Range share = parallel::even_share(parts, ranks, rank);
    return Range{share.begin * size, share.end * size};
  });
}

void ParameterRows::cut_blocks_evenly(std::string name, std::vector<std::int64_t> shape, int blocks, std::int64_t parts,
                                      std::int64_t size) {
  cut_evenly(std::move(name), std::move(shape), 0, parts, size);
  rows_.back().cut_blocks = blocks;
}

}  // namespace retain::models
