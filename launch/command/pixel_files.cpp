// SPDX-License-Identifier: Apache-2.0
// Pictures are decoded by all threads and written one after another, so that only a few are in memory.
#include "launch/command/pixel_files.h"

#include <algorithm>
#include <thread>

#include "framework/base/error.h"
#include "framework/image/prefetch.h"
#include "models/weights/safetensors_writer.h"

namespace retain::launch {
namespace {

using framework::DType;
using framework::ProcessedImage;
using framework::ProcessedPatches;
using models::SafetensorsWriter;

/// Calls `write(index, picture)` in order.
template <typename Picture, typename Process, typename Write>
void for_each_picture(const std::vector<std::string>& images, const Process& process, const Write& write) {
  const std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
  framework::Prefetch<Picture> pictures(images.size(), threads, threads + 1,
                                        [&](std::size_t index) { return process(images[index]); });
  for (std::size_t index = 0; index < images.size(); ++index) write(static_cast<std::int64_t>(index), pictures.next());
}

[[noreturn]] void refuse_size(const std::string& file, std::int64_t expected, std::int64_t found) {
  throw framework::Error(framework::ErrorKind::image_corrupt, {file + " has another size than its header says",
                                                               std::to_string(expected) + " tiles or patches",
                                                               std::to_string(found), "fetch the file again"});
}

template <typename Value>
void write_values(SafetensorsWriter& writer, const std::string& name, std::int64_t first,
                  const std::vector<Value>& values) {
  if (!values.empty()) writer.write(name, first, std::as_bytes(std::span(values)));
}

}  // namespace

void write_tiles(const std::string& file, const std::vector<std::string>& images,
                 const framework::ProcessorSettings& settings) {
  std::int64_t most = 0;
  for (const std::string& image : images) {
    const framework::ImageSize size = framework::read_size(image);
    most = std::max(most, framework::count_tiles(size.height, size.width, settings));
  }
  const auto count = static_cast<std::int64_t>(images.size());
  const std::int64_t side = settings.side(), tile = 3 * side * side;
  const bool counts_pictures = settings.class_name == "LlavaOnevisionImageProcessor";
  std::vector<framework::TensorInfo> tensors{{"image_sizes", DType::int64, {count, 2}},
                                             {"pixel_values", DType::float32, {count, most, 3, side, side}}};
  if (counts_pictures) tensors.push_back({"batch_num_images", DType::int64, {count}});
  SafetensorsWriter writer(file, tensors);

  std::vector<std::int64_t> sizes;
  const auto process = [&](const std::string& image) {
    return framework::process_image(framework::load_image(image, settings.alpha), settings);
  };
  for_each_picture<ProcessedImage>(images, process, [&](std::int64_t index, const ProcessedImage& picture) {
    if (picture.tiles_count > most) refuse_size(images[static_cast<std::size_t>(index)], most, picture.tiles_count);
    write_values(writer, "pixel_values", index * most * tile, picture.tiles);
    const std::vector<float> zeros(static_cast<std::size_t>((most - picture.tiles_count) * tile));
    write_values(writer, "pixel_values", (index * most + picture.tiles_count) * tile, zeros);
    sizes.insert(sizes.end(), {picture.original_height, picture.original_width});
  });
  write_values(writer, "image_sizes", 0, sizes);
  if (counts_pictures) write_values(writer, "batch_num_images", 0, std::vector<std::int64_t>(images.size(), 1));
  writer.finish();
}

void write_patches(const std::string& file, const std::vector<std::string>& images,
                   const framework::PatchSettings& settings) {
  std::vector<std::int64_t> starts{0}, grids;
  for (const std::string& image : images) {
    const framework::ImageSize size = framework::read_size(image);
    const framework::PatchGrid grid = framework::plan_patches(size.height, size.width, settings);
    starts.push_back(starts.back() + grid.patches());
    grids.insert(grids.end(), {grid.frames, grid.rows, grid.columns});
  }
  const auto count = static_cast<std::int64_t>(images.size());
  SafetensorsWriter writer(file, {{"image_grid_thw", DType::int64, {count, 3}},
                                  {"pixel_values", DType::float32, {starts.back(), settings.patch_values()}}});
  const auto process = [&](const std::string& image) {
    return framework::process_patches(framework::load_image(image, settings.alpha), settings);
  };
  for_each_picture<ProcessedPatches>(images, process, [&](std::int64_t index, const ProcessedPatches& picture) {
    const auto i = static_cast<std::size_t>(index);
    if (picture.grid.patches() != starts[i + 1] - starts[i])
      refuse_size(images[i], starts[i + 1] - starts[i], picture.grid.patches());
    write_values(writer, "pixel_values", starts[i] * settings.patch_values(), picture.values);
  });
  write_values(writer, "image_grid_thw", 0, grids);
  writer.finish();
}

}  // namespace retain::launch
