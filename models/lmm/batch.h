// SPDX-License-Identifier: Apache-2.0
// From records to what the model computes on. Shape suffixes: T packed tokens, A supervised positions, I visual tokens.
#pragma once
#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace retain::models {

/// One image of a sample, or one video.
struct ImageInput {
  /// float32, normalised, in the family's shape (LLaVA: [tiles, 3, S, S]); undefined where only token counts are needed
  at::Tensor pixels;
  std::int64_t height = 0;   ///< of the original picture, pixels
  std::int64_t width = 0;
  std::int64_t tokens = 0;   ///< visual tokens it becomes
  std::int64_t patches = 0;  ///< that go through the vision tower for it
  std::string key;           ///< digest of picture and preprocessing: the feature cache's key; empty: not cached
  std::array<std::int64_t, 3> grid{};  ///< patches: frames, rows, columns; only where the family's pictures have free sizes
  std::int64_t frames = 0;             ///< pictures of a video; 0: a still picture
  double seconds_per_frame = 0;  ///< of a video: from one frame of the grid to the next
};

/// One conversation: ids with every <image> expanded to `tokens` copies of the image token; labels unshifted, -100 ignored.
struct Sample {
  std::string id;
  std::int64_t number = 0;  ///< its place in the stage's data order, counted from 0 over all epochs
  std::vector<std::int64_t> ids;
  std::vector<std::int64_t> labels;
  std::vector<ImageInput> images;
  /// Frame, row and column position of each token, for families with multimodal positions; empty: 0, 1, 2, … for all three.
  std::vector<std::array<std::int64_t, 3>> positions;
  /// The position of the token after the last, on all three axes.
  std::int64_t next_position() const;
  /// Supervised tokens that have a predecessor, i.e. terms of the loss.
  std::int64_t answers() const;
};

/// Samples packed one after another, no padding; attention never crosses a start.
struct MicroBatch {
  at::Tensor ids_T;                 ///< int64
  at::Tensor positions_T;           ///< int64, from 0 in each sample; [3,T] where a sample has multimodal positions
  std::vector<std::int64_t> starts; ///< samples + 1 offsets into T
  std::vector<ImageInput> images;   ///< in order of appearance
  at::Tensor image_rows_I;          ///< int64 rows of T that hold visual tokens, in order; undefined: those whose id is
                                    ///< the model's image token
  at::Tensor answer_rows_A;         ///< int64 rows of T whose next token is supervised
  at::Tensor targets_A;             ///< int64, that next token
  at::Tensor weights_A;             ///< float32; loss = sum of weights · cross-entropy
  std::vector<std::int64_t> numbers;///< Sample::number of each sample: what random streams are named by
  double sample_weight = 0;         ///< 1 / samples of the global batch
  std::int64_t tokens() const { return starts.empty() ? 0 : starts.back(); }
};

/// How a global batch's loss is averaged.
enum class LossAverage { sample, token };

/// Packs samples. Each supervised token's weight is 1 / (batch_samples · answers of its sample) for `sample`, or
/// 1 / batch_answers for `token`, so the sum over all micro-batches of a global batch is its loss on any layout.
MicroBatch pack(std::span<const Sample> samples, LossAverage average, std::int64_t batch_samples, std::int64_t batch_answers);

}  // namespace retain::models
