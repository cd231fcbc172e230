// SPDX-License-Identifier: Apache-2.0
#include "models/qwen2_5_vl/positions.h"

#include <algorithm>

#include "framework/base/error.h"

namespace retain::models::qwen2_5_vl {
namespace {

[[noreturn]] void refuse(const Sample& sample) {
  throw framework::Error(framework::ErrorKind::data_image_count,
                         {"sample " + sample.id + ": image tokens and images do not match",
                          std::to_string(sample.images.size()) + " runs of image tokens, as long as their images",
                          "others", "every <image> needs one picture, and every picture one <image>"});
}

}  // namespace

std::vector<std::array<std::int64_t, 3>> positions(const Sample& sample, const LmmConfig& config) {
  const std::int64_t merge = config.vision.windowed->merge;
  const auto is_visual = [&](std::int64_t id) { return id == config.image_token || id == config.video_token; };
  std::vector<std::array<std::int64_t, 3>> places;
  places.reserve(sample.ids.size());
  std::size_t next_image = 0;
  for (std::int64_t next = 0; places.size() < sample.ids.size();) {
    const std::int64_t id = sample.ids[places.size()];
    if (!is_visual(id)) {
      places.push_back({next, next, next});
      ++next;
      continue;
    }
    if (next_image == sample.images.size()) refuse(sample);
    const ImageInput& image = sample.images[next_image++];
    const std::int64_t frames = image.grid[0], rows = image.grid[1] / merge, columns = image.grid[2] / merge;
    const auto tokens = static_cast<std::size_t>(frames * rows * columns);
    if (tokens == 0 || places.size() + tokens > sample.ids.size() || sample.ids[places.size() + tokens - 1] != id)
      refuse(sample);
    // The reference computes a frame's place in float32 and cuts it off.
    const float step = image.frames > 0 ? static_cast<float>(config.vision.windowed->tokens_per_second) *
                                              static_cast<float>(image.seconds_per_frame)
                                        : 1.0F;
    for (std::int64_t frame = 0; frame < frames; ++frame)
      for (std::int64_t row = 0; row < rows; ++row)
        for (std::int64_t column = 0; column < columns; ++column)
          places.push_back(
              {next + static_cast<std::int64_t>(static_cast<float>(frame) * step), next + row, next + column});
    next += std::max(rows, columns);
  }
  if (next_image != sample.images.size()) refuse(sample);
  return places;
}

}  // namespace retain::models::qwen2_5_vl
