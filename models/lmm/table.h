// SPDX-License-Identifier: Apache-2.0
// The parameter table of a model and its balanced cut into pipeline stages, from the configuration alone.
#pragma once
#include "framework/base/dtype.h"
#include "models/lmm/config.h"
#include "parallel/parameter.h"
#include "parallel/pipeline/partition.h"

namespace retain::models {

/// The decoder's query heads of a tensor rank, the key-value heads they read, and how many query heads share one of
/// those.
struct HeadShare {
  parallel::Range query;
  parallel::Range key_value;  ///< [floor(a/g), ceil(b/g)) for query heads [a, b) and g query heads a key-value head
};
/// Throws Error(mesh_invalid) when there are more tensor ranks than query heads.
HeadShare head_share(const TextConfig& text, int tensor_ranks, int tensor_rank);

/// Every parameter of `config` under its canonical name, in the order of the forward pass.
/// Cuts over the tensor axis: whole heads for q/k/v rows and o/out columns, MLP widths and vocabulary rows as evenly as
/// can be; norms, biases of row-parallel layers, patch and position embedding, projector and image_newline are
/// replicated. A vision tower of fewer heads than tensor ranks leaves the last ranks an empty range. Throws
/// Error(mesh_invalid) when there are more tensor ranks than query heads, MLP columns or vocabulary rows.
parallel::ParameterTable build_table(const LmmConfig& config, int tensor_ranks,
                                     const parallel::PipelinePartition& partition, framework::DType training_dtype);

/// What one sample costs, for balancing pipeline stages.
struct Workload {
  std::int64_t tiles = 2;  ///< image tiles through the vision tower; 0 where its features come from a cache
  std::int64_t text_tokens = 128;
  std::int64_t answers = 32;  ///< positions that get logits
};

/// Floating-point operations of a forward pass over one sample.
struct ForwardCost {
  double vision = 0;         ///< tower and projector
  double decoder_layer = 0;  ///< each
  double head = 0;
};
ForwardCost forward_cost(const LmmConfig& config, const Workload& workload);

/// The balanced partition; the vision tower counts as part of the first pipeline stage, the head as part of the last.
parallel::PipelinePartition partition_for(const LmmConfig& config, int pipeline_stages, const Workload& workload = {});

}  // namespace retain::models
