// SPDX-License-Identifier: Apache-2.0
// How much memory a rank needs while it trains, from the configuration alone: what the layers save for the backward pass
// (which depends on what is trained), and what one operation holds beside it.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/lmm/config.h"
#include "parallel/mesh.h"
#include "parallel/pipeline/partition.h"
#include "recipes/methods/method.h"
#include "recipes/training/trainable_table.h"

namespace retain::recipes {

/// One micro-batch.
struct BatchSize {
  std::int64_t tokens = 0;         ///< packed, visual tokens included
  std::int64_t answers = 0;        ///< positions that get logits
  std::int64_t patches = 0;        ///< through the vision tower
  std::int64_t visual_tokens = 0;
};

/// Bytes of one rank, by what they are for. They add up to an upper estimate of its peak over a training step.
struct RankMemory {
  RankBytes state;                ///< weights, gradients, optimizer
  std::int64_t activations = 0;   ///< saved for the backward pass, all micro-batches in flight together; with one micro-batch a
                                  ///< step they make room as gradients come, and what they need beyond those is counted
  std::int64_t working = 0;       ///< beside them: the largest layer's intermediate results, or a weight's gradient
  std::int64_t reduction = 0;     ///< buckets of the data-parallel reduction
  std::int64_t pictures = 0;      ///< pixels of the batch under way and of the next one
  std::int64_t features = 0;      ///< of the frozen vision tower, kept in memory
  std::int64_t snapshot = 0;      ///< this rank's part of a stage or checkpoint that is written in the background
  std::int64_t heap = 0;          ///< holes between blocks of the allocator, and what libraries allocate on first use
  std::int64_t total() const {
    return state.weights + state.gradients + state.optimizer + activations + working + reduction + pictures + features +
           snapshot + heap;
  }
};

struct MemoryRequest {
  const models::LmmConfig& config;
  const parallel::ParameterTable& table;
  const parallel::PipelinePartition& partition;
  const std::vector<Selected>& selected;
  const TrainSettings& settings;
  parallel::MeshShape shape;
  framework::DType dtype = framework::DType::float32;
  BatchSize batch;                   ///< the largest micro-batch
  std::int64_t feature_bytes = 0;    ///< the frozen features' limit or, where smaller, their whole size
  const Method* method = nullptr;
  bool written_in_background = false;  ///< [store] asynchronous
  std::int64_t kept_products = 0;      ///< compiled for shapes that vary from batch to batch
};

/// Of the rank at that place of the mesh (of any data rank: they are alike).
RankMemory rank_memory(const MemoryRequest& request, int pipeline_stage, int tensor_rank);

}  // namespace retain::recipes
