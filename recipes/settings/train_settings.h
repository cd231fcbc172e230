// SPDX-License-Identifier: Apache-2.0
// Settings of one curriculum stage's training, as [train] of an experiment file (or a task's override) gives them.
#pragma once
#include <cstdint>
#include <string>

#include "framework/base/dtype.h"
#include "models/lmm/batch.h"

namespace retain::recipes {

enum class Schedule { cosine, linear, constant };
enum class OnBad { stop, skip };

struct TrainSettings {
  double learning_rate = 5e-6;       ///< the paper's for every recipe
  Schedule schedule = Schedule::cosine;
  double warmup_ratio = 0.03;        ///< warm-up steps = ceil(ratio · steps); the first rate is 0
  double weight_decay = 0;           ///< never on biases and norms
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
  double clip = 1.0;                 ///< 0: no clipping
  std::int64_t global_batch = 32;    ///< records an optimizer step, whatever the mesh
  std::int64_t micro_batch = 1;      ///< records a forward pass at most
  std::int64_t micro_batch_tokens = 0;  ///< also closes a micro-batch at this many packed tokens; 0: no limit
  std::int64_t epochs = 1;
  std::int64_t max_steps = 0;        ///< 0: as many as the epochs have
  bool shuffle = true;
  bool drop_last = true;             ///< an incomplete last global batch is dropped
  models::LossAverage loss_average = models::LossAverage::sample;
  std::uint64_t seed = 0;
  std::int64_t max_length = 32768;   ///< packed tokens of one record, images expanded
  OnBad over_length = OnBad::skip;
  OnBad non_finite = OnBad::stop;    ///< a NaN or infinite gradient
  bool master_weights = true;        ///< bfloat16 training keeps float32 master weights
  framework::DType moments = framework::DType::float32;  ///< of AdamW; bfloat16 with master_weights = false is pure bfloat16
  bool zero = false;                 ///< optimizer state sharded over the data axis (ZeRO-1)
  bool recompute = false;            ///< activation recomputation
  std::int64_t save_every = 0;       ///< steps between mid-stage checkpoints; 0: only when asked to stop
};

}  // namespace retain::recipes
