// SPDX-License-Identifier: Apache-2.0
#include "framework/image/processor_file.h"

#include <cmath>

namespace retain::framework {
namespace {

constexpr std::int64_t kMaxSide = 1 << 14;

json::object object_in(const std::filesystem::path& file) {
  const json::value value = read_json(file);
  if (!value.is_object())
    throw Error(ErrorKind::config_invalid, {file.string(), "a JSON object", "something else", "copy the file again"});
  return value.get_object();
}

}  // namespace

std::optional<ProcessorFile> ProcessorFile::part_of(const std::filesystem::path& directory, std::string_view part) {
  const std::filesystem::path file = directory / "processor_config.json";
  if (!std::filesystem::exists(file)) return std::nullopt;
  const json::object whole = object_in(file);
  const json::value* nested = whole.if_contains(part);
  if (!nested || !nested->is_object()) return std::nullopt;
  return ProcessorFile(file, nested->get_object());
}

std::optional<ProcessorFile> ProcessorFile::open(const std::filesystem::path& directory) {
  if (const std::filesystem::path file = directory / "preprocessor_config.json"; std::filesystem::exists(file))
    return ProcessorFile(file, object_in(file));
  return part_of(directory, "image_processor");
}

std::optional<ProcessorFile> ProcessorFile::open_for_videos(const std::filesystem::path& directory) {
  if (auto part = part_of(directory, "video_processor")) return part;
  if (const std::filesystem::path file = directory / "video_preprocessor_config.json"; std::filesystem::exists(file))
    return ProcessorFile(file, object_in(file));
  return open(directory);
}

std::string_view ProcessorFile::class_key() const {
  for (const std::string_view key : {"video_processor_type", "image_processor_type"})
    if (find(key)) return key;
  return "feature_extractor_type";
}

std::string ProcessorFile::class_name() const {
  const std::string_view key = class_key();
  const json::value* value = find(key);
  if (!value) return {};
  if (!value->is_string()) refuse(key, "the name of a class");
  std::string name(value->get_string());
  for (const std::string_view suffix : {"Fast", "Pil"})
    if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  return name;
}

const json::value* ProcessorFile::find(std::string_view key) const {
  const json::value* value = keys_.if_contains(key);
  return value && !value->is_null() ? value : nullptr;
}

bool ProcessorFile::flag(std::string_view key, bool otherwise) const {
  const json::value* value = find(key);
  if (!value) return otherwise;
  if (!value->is_bool()) refuse(key, "true or false");
  return value->get_bool();
}

double ProcessorFile::number(std::string_view key, double otherwise) const {
  const json::value* value = find(key);
  return value ? to_double(key, *value) : otherwise;
}

double ProcessorFile::to_double(std::string_view key, const json::value& value) const {
  boost::system::error_code code;
  const auto number = value.to_number<double>(code);
  if (code || !std::isfinite(number)) refuse(key, "a number");
  return number;
}

std::int64_t ProcessorFile::count(std::string_view key, const json::value& value, std::int64_t most) const {
  boost::system::error_code code;
  const auto number = value.to_number<std::int64_t>(code);
  if (code || number < 1 || number > most) refuse(key, "a whole number from 1 to " + std::to_string(most));
  return number;
}

std::int64_t ProcessorFile::square(std::string_view key, const json::value& value) const {
  const json::object* object = value.if_object();
  if (!object) return count(key, value, kMaxSide);
  if (const json::value* edge = object->if_contains("shortest_edge")) return count(key, *edge, kMaxSide);
  const json::value *height = object->if_contains("height"), *width = object->if_contains("width");
  if (!height || !width) refuse(key, "a number, {\"shortest_edge\"} or {\"height\", \"width\"}");
  if (count(key, *height, kMaxSide) != count(key, *width, kMaxSide)) refuse(key, "equal height and width");
  return count(key, *height, kMaxSide);
}

std::array<double, 3> ProcessorFile::channels(std::string_view key, const std::array<double, 3>& otherwise) const {
  const json::value* value = find(key);
  if (!value) return otherwise;
  if (!value->is_array()) {
    const double all = to_double(key, *value);
    return {all, all, all};
  }
  const json::array& list = value->get_array();
  if (list.size() != 3) refuse(key, "three numbers");
  return {to_double(key, list[0]), to_double(key, list[1]), to_double(key, list[2])};
}

std::vector<Resolution> ProcessorFile::pinpoints(std::string_view key) const {
  const json::value* value = find(key);
  std::vector<Resolution> pairs;
  if (!value) return pairs;
  const json::array* list = value->if_array();
  if (!list || list->empty() || list->size() > 10000) refuse(key, "a list of [height, width] pairs");
  for (const json::value& item : *list) {
    const json::array* pair = item.if_array();
    if (!pair || pair->size() != 2) refuse(key, "a list of [height, width] pairs");
    pairs.emplace_back(count(key, (*pair)[0], kMaxSide), count(key, (*pair)[1], kMaxSide));
  }
  return pairs;
}

void ProcessorFile::read_pixels(PixelSettings& settings) const {
  settings.do_resize = flag("do_resize", true);
  settings.do_rescale = flag("do_rescale", true);
  settings.do_normalize = flag("do_normalize", true);
  settings.rescale_factor = number("rescale_factor", 1.0 / 255.0);
  settings.mean = channels("image_mean", kClipMean);
  settings.std = channels("image_std", kClipStd);
  for (const double value : settings.std)
    if (value == 0.0) refuse("image_std", "numbers other than 0");
  const double filter = number("resample", 3);
  if (filter != 2 && filter != 3) refuse("resample", "2 (bilinear) or 3 (bicubic)", ErrorKind::config_unsupported);
  settings.filter = static_cast<ResizeFilter>(static_cast<int>(filter));
}

void ProcessorFile::refuse(std::string_view key, const std::string& expected, ErrorKind kind) const {
  const json::value* value = find(key);
  throw Error(kind,
              {file_.string() + ": " + std::string(key), expected, value ? json::serialize(*value) : "no such key",
               "correct the file, or copy it from the model's repository again"});
}

}  // namespace retain::framework
