// SPDX-License-Identifier: Apache-2.0
// Order of the values: [frame, row / m, column / m, m, m, channel, frame of the patch, y, x] for squares of m × m
// patches.
#include "framework/image/patches.h"

#include <algorithm>
#include <utility>

#include "framework/base/error.h"
#include "framework/image/processor_file.h"

namespace retain::framework {
namespace {

constexpr std::int64_t kMaxPatch = 1 << 10;
constexpr std::int64_t kMaxMerge = 64;
constexpr std::string_view kVideoProcessor = "Qwen2VLVideoProcessor";

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

PatchSettings read_settings(const std::filesystem::path& directory, const std::optional<ProcessorFile>& file,
                            PatchSettings settings) {
  if (!file)
    throw Error(ErrorKind::io, {"no image processor in " + directory.string(), "preprocessor_config.json",
                                "no such file", "copy it from the model's repository"});
  if (const std::string name = file->class_name(); !name.empty() && name != kPatchProcessor && name != kVideoProcessor)
    file->refuse(file->class_key(), std::string(kPatchProcessor), ErrorKind::config_unsupported);
  file->read_pixels(settings);
  const auto number = [&](const char* key, std::int64_t most, std::int64_t otherwise) {
    const json::value* value = file->find(key);
    return value ? file->count(key, *value, most) : otherwise;
  };
  settings.patch = number("patch_size", kMaxPatch, settings.patch);
  settings.merge = number("merge_size", kMaxMerge, settings.merge);
  settings.frames = number("temporal_patch_size", kMaxMerge, settings.frames);
  settings.caps_videos = file->flag("cap_pixels_per_frame", false);
  settings.video_tokens = number("max_video_tokens", 1 << 28, settings.video_tokens);
  read_limits(*file, settings);
  return settings;
}

PatchGrid grid_within(const SmartResizeSettings& limits, std::int64_t height, std::int64_t width,
                      const PatchSettings& settings) {
  const Resolution size = settings.do_resize ? smart_resize(height, width, limits) : Resolution{height, width};
  if (size.first % limits.factor || size.second % limits.factor || size.first < 1 || size.second < 1)
    throw Error(
        ErrorKind::data_invalid,
        {"a picture of " + std::to_string(height) + " x " + std::to_string(width) + " pixels has no whole patches",
         "sides that are multiples of " + std::to_string(limits.factor) + ", since do_resize is false", "others",
         "resize the picture, or set do_resize in preprocessor_config.json"});
  return {1, size.first / settings.patch, size.second / settings.patch};
}

/// The picture in the size of the grid; empty where it has that size.
Image fitted(const Image& image, const PatchGrid& grid, const PatchSettings& settings) {
  const std::int64_t height = grid.rows * settings.patch, width = grid.columns * settings.patch;
  if (image.height == height && image.width == width) return {};
  return resize(image, height, width, settings.filter);
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
  return read_settings(directory, ProcessorFile::open(directory), {});
}

PatchSettings read_video_patch_settings(const std::filesystem::path& directory) {
  PatchSettings defaults;
  defaults.min_pixels = 128 * 28 * 28;
  defaults.max_pixels = 28 * 28 * 768;
  return read_settings(directory, ProcessorFile::open_for_videos(directory), defaults);
}

PatchGrid plan_patches(std::int64_t height, std::int64_t width, const PatchSettings& settings) {
  return grid_within(settings.limits(), height, width, settings);
}

PatchGrid plan_video_patches(std::int64_t count, std::int64_t height, std::int64_t width,
                             const PatchSettings& settings) {
  SmartResizeSettings limits = settings.limits();
  if (settings.caps_videos) {
    // An even share of nine tenths of the tokens, but at least a little more than the least.
    const auto pixels =
        static_cast<std::int64_t>(static_cast<double>(settings.video_tokens * limits.factor * limits.factor) * 0.9);
    limits.max_pixels = std::max(std::min(limits.max_pixels, pixels * settings.frames / count),
                                 static_cast<std::int64_t>(static_cast<double>(limits.min_pixels) * 1.05));
  }
  PatchGrid grid = grid_within(limits, height, width, settings);
  grid.frames = (count + settings.frames - 1) / settings.frames;
  return grid;
}

ProcessedPatches process_patches(const Image& image, const PatchSettings& settings) {
  ProcessedPatches result;
  result.original_height = image.height;
  result.original_width = image.width;
  result.grid = plan_patches(image.height, image.width, settings);
  result.digest = picture_key(image, settings, describe(settings));
  const Image resized = fitted(image, result.grid, settings);
  const std::vector<const Image*> frames(static_cast<std::size_t>(settings.frames),
                                         resized.rgb.empty() ? &image : &resized);
  result.values.resize(static_cast<std::size_t>(result.grid.patches() * settings.patch_values()));
  write_frame(frames, settings, result.grid, pixel_values(settings), result.values.data());
  return result;
}

ProcessedPatches process_video_patches(std::span<const Image> frames, const PatchSettings& settings) {
  const Image& first = frames.front();
  for (const Image& frame : frames)
    if (frame.height != first.height || frame.width != first.width)
      throw Error(ErrorKind::data_invalid,
                  {"frames of a video differ in size", "one size for all",
                   std::to_string(first.height) + " x " + std::to_string(first.width) + " and " +
                       std::to_string(frame.height) + " x " + std::to_string(frame.width),
                   "cut the video into frames again"});
  ProcessedPatches result;
  result.original_height = first.height;
  result.original_width = first.width;
  result.grid = plan_video_patches(static_cast<std::int64_t>(frames.size()), first.height, first.width, settings);
  // Resized by the grid's own limits, which the number of frames may change.
  const std::string arrangement = describe(settings) + std::to_string(frames.size()) + " frames " +
                                  std::to_string(result.grid.rows) + "x" + std::to_string(result.grid.columns) + " ";
  result.values.resize(static_cast<std::size_t>(result.grid.patches() * settings.patch_values()));
  const PixelValues values = pixel_values(settings);
  const std::int64_t step = result.grid.rows * result.grid.columns * settings.patch_values();
  const auto last = static_cast<std::int64_t>(frames.size()) - 1;
  for (std::int64_t t = 0; t < result.grid.frames; ++t) {
    std::vector<Image> resized(static_cast<std::size_t>(settings.frames));
    std::vector<const Image*> pictures;
    for (std::int64_t i = 0; i < settings.frames; ++i) {
      const Image& frame = frames[static_cast<std::size_t>(std::min(t * settings.frames + i, last))];
      Image& fit = resized[static_cast<std::size_t>(i)] = fitted(frame, result.grid, settings);
      pictures.push_back(fit.rgb.empty() ? &frame : &fit);
      if (t * settings.frames + i <= last) result.digest += picture_key(frame, settings, arrangement);
    }
    write_frame(pictures, settings, result.grid, values, result.values.data() + t * step);
  }
  return result;
}

}  // namespace retain::framework
