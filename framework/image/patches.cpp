// SPDX-License-Identifier: Apache-2.0
// Order of the values: [frame, row / m, column / m, m, m, channel, frame of the patch, y, x] for squares of m × m
// patches.
#include "framework/image/patches.h"

#include <utility>

#include "framework/base/error.h"
#include "framework/image/processor_file.h"

namespace retain::framework {
namespace {

constexpr std::int64_t kMaxPatch = 1 << 10;
constexpr std::int64_t kMaxMerge = 64;

/// `size` in its spellings: two edges, or the older two limits; min_pixels and max_pixels beside it come first.
void read_limits(const ProcessorFile& file, PatchSettings& settings) {
  const json::object* size = file.find("size") ? file.find("size")->if_object() : nullptr;
  if (file.find("size") && !size) file.refuse("size", "{\"shortest_edge\", \"longest_edge\"} in pixels");
  const auto limit = [&](const char* key, const char* edge, std::int64_t otherwise) {
    if (const json::value* own = file.find(key)) return file.count(key, *own, max_image_pixels);
    if (!size) return otherwise;
    for (const char* spelling : {edge, key})
      if (const json::value* found = size->if_contains(spelling); found && !found->is_null())
        return file.count("size", *found, max_image_pixels);
    file.refuse("size", std::string("a ") + edge + " in it");
  };
  settings.min_pixels = limit("min_pixels", "shortest_edge", settings.min_pixels);
  settings.max_pixels = limit("max_pixels", "longest_edge", settings.max_pixels);
  if (settings.max_pixels < settings.min_pixels)
    file.refuse(size ? "size" : "max_pixels", "at least the fewest pixels, " + std::to_string(settings.min_pixels));
}

/// The patches of one frame of the grid, which spans `settings.frames` resized pictures.
void write_frame(std::span<const Image* const> pictures, const PatchSettings& settings, const PatchGrid& grid,
                 const PixelValues& values, float* out) {
  const std::int64_t patch = settings.patch, merge = settings.merge, width = grid.columns * patch;
  const auto write_patch = [&](std::int64_t row, std::int64_t column) {
    for (std::size_t channel = 0; channel < 3; ++channel)
      for (const Image* picture : pictures)
        for (std::int64_t y = 0; y < patch; ++y) {
          const std::uint8_t* from = picture->rgb.data() + ((row * patch + y) * width + column * patch) * 3 + channel;
          for (std::int64_t x = 0; x < patch; ++x) *out++ = values[channel][from[3 * x]];
        }
  };
  for (std::int64_t top = 0; top < grid.rows; top += merge)
    for (std::int64_t left = 0; left < grid.columns; left += merge)
      for (std::int64_t i = 0; i < merge * merge; ++i) write_patch(top + i / merge, left + i % merge);
}

std::string describe(const PatchSettings& settings) {
  std::string text = "patches 1 ";
  for (const std::int64_t value :
       {settings.patch, settings.merge, settings.frames, settings.min_pixels, settings.max_pixels})
    text += std::to_string(value) + " ";
  return text;
}

}  // namespace

bool makes_patches(const std::filesystem::path& directory) {
  const std::optional<ProcessorFile> file = ProcessorFile::open(directory);
  return file && file->class_name() == kPatchProcessor;
}

PatchSettings read_patch_settings(const std::filesystem::path& directory) {
  const std::optional<ProcessorFile> file = ProcessorFile::open(directory);
  if (!file)
    throw Error(ErrorKind::io, {"no image processor in " + directory.string(), "preprocessor_config.json",
                                "no such file", "copy it from the model's repository"});
  if (const std::string name = file->class_name(); !name.empty() && name != kPatchProcessor)
    file->refuse("image_processor_type", std::string(kPatchProcessor), ErrorKind::config_unsupported);
  PatchSettings settings;
  file->read_pixels(settings);
  const auto side = [&](const char* key, std::int64_t most, std::int64_t otherwise) {
    const json::value* value = file->find(key);
    return value ? file->count(key, *value, most) : otherwise;
  };
  settings.patch = side("patch_size", kMaxPatch, settings.patch);
  settings.merge = side("merge_size", kMaxMerge, settings.merge);
  settings.frames = side("temporal_patch_size", kMaxMerge, settings.frames);
  read_limits(*file, settings);
  return settings;
}

PatchGrid plan_patches(std::int64_t height, std::int64_t width, const PatchSettings& settings) {
  const SmartResizeSettings limits = settings.limits();
  const Resolution size = settings.do_resize ? smart_resize(height, width, limits) : Resolution{height, width};
  if (size.first % limits.factor || size.second % limits.factor || size.first < 1 || size.second < 1)
    throw Error(
        ErrorKind::data_invalid,
        {"a picture of " + std::to_string(height) + " x " + std::to_string(width) + " pixels has no whole patches",
         "sides that are multiples of " + std::to_string(limits.factor) + ", since do_resize is false", "others",
         "resize the picture, or set do_resize in preprocessor_config.json"});
  return {1, size.first / settings.patch, size.second / settings.patch};
}

ProcessedPatches process_patches(const Image& image, const PatchSettings& settings) {
  ProcessedPatches result;
  result.original_height = image.height;
  result.original_width = image.width;
  result.grid = plan_patches(image.height, image.width, settings);
  result.digest = picture_key(image, settings, describe(settings));
  const std::int64_t height = result.grid.rows * settings.patch, width = result.grid.columns * settings.patch;
  const bool fits = image.height == height && image.width == width;
  const Image resized = fits ? Image{} : resize(image, height, width, settings.filter);
  const std::vector<const Image*> frames(static_cast<std::size_t>(settings.frames), fits ? &image : &resized);
  result.values.resize(static_cast<std::size_t>(result.grid.patches() * settings.patch_values()));
  write_frame(frames, settings, result.grid, pixel_values(settings), result.values.data());
  return result;
}

}  // namespace retain::framework
