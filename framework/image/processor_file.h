// SPDX-License-Identifier: Apache-2.0
// The JSON file of a model's image processor, key by key; every refusal names the file and the key.
#pragma once
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "framework/base/error.h"
#include "framework/base/json.h"
#include "framework/image/anyres.h"
#include "framework/image/pixel_settings.h"

namespace retain::framework {

/// Mean and deviation of CLIP's training pictures, the default of most processor classes.
inline constexpr std::array<double, 3> kClipMean{0.48145466, 0.4578275, 0.40821073};
inline constexpr std::array<double, 3> kClipStd{0.26862954, 0.26130258, 0.27577711};

/// A key that is absent or null is not there. Wrong types and senseless values are Error(config_invalid).
class ProcessorFile {
 public:
  /// DIR/preprocessor_config.json, or the image_processor of DIR/processor_config.json; empty where neither is there.
  /// Throws Error(io, config_invalid).
  static std::optional<ProcessorFile> open(const std::filesystem::path& directory);
  /// What says how videos are prepared: the video_processor of DIR/processor_config.json,
  /// DIR/video_preprocessor_config.json or, without either, the file of pictures.
  static std::optional<ProcessorFile> open_for_videos(const std::filesystem::path& directory);

  ProcessorFile(std::filesystem::path file, json::object keys) : file_(std::move(file)), keys_(std::move(keys)) {}

  /// The class the file names, without the suffixes of its back ends; empty where it names none.
  std::string class_name() const;
  /// The key that names it.
  std::string_view class_key() const;
  const json::value* find(std::string_view key) const;
  bool flag(std::string_view key, bool otherwise) const;
  double number(std::string_view key, double otherwise) const;
  /// A count of pixels or patches from 1 to `most`.
  std::int64_t count(std::string_view key, const json::value& value, std::int64_t most) const;
  /// N, {"shortest_edge": N} or {"height": N, "width": N}, in pixels.
  std::int64_t square(std::string_view key, const json::value& value) const;
  std::vector<Resolution> pinpoints(std::string_view key) const;
  /// Resizing filter, rescaling, mean and deviation; absent keys as in transformers' classes.
  void read_pixels(PixelSettings& settings) const;

  [[noreturn]] void refuse(std::string_view key, const std::string& expected,
                           ErrorKind kind = ErrorKind::config_invalid) const;

 private:
  /// A part of DIR/processor_config.json.
  static std::optional<ProcessorFile> part_of(const std::filesystem::path& directory, std::string_view part);
  double to_double(std::string_view key, const json::value& value) const;
  std::array<double, 3> channels(std::string_view key, const std::array<double, 3>& otherwise) const;

  std::filesystem::path file_;
  json::object keys_;
};

}  // namespace retain::framework
