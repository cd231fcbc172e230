// SPDX-License-Identifier: Apache-2.0
// Reads a processor's JSON file. Absent keys take the defaults of the class the file names, as in transformers.
#include <cmath>
#include <string_view>

#include "framework/base/json.h"
#include "framework/image/processor.h"

namespace retain::framework {
namespace {

constexpr std::array<double, 3> clip_mean{0.48145466, 0.4578275, 0.40821073};
constexpr std::array<double, 3> clip_std{0.26862954, 0.26130258, 0.27577711};
constexpr std::int64_t max_side = 1 << 14;

/// Defaults of a processor class.
struct ClassDefaults {
  std::string_view name;
  std::int64_t size;
  bool center_crop;
  std::vector<Resolution> pinpoints;
};

std::vector<Resolution> square_grid(std::int64_t tile, std::int64_t most) {
  std::vector<Resolution> pinpoints;
  for (std::int64_t rows = 1; rows <= most; ++rows)
    for (std::int64_t columns = 1; columns <= most; ++columns) pinpoints.emplace_back(rows * tile, columns * tile);
  return pinpoints;
}

const std::vector<ClassDefaults>& known_classes() {
  static const std::vector<ClassDefaults> classes{
      {"LlavaOnevisionImageProcessor", 384, false, square_grid(384, 6)},
      {"LlavaNextImageProcessor", 224, true, {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}}}};
  return classes;
}

/// The keys of one file; a key that is absent or null is not there.
class ProcessorFile {
 public:
  ProcessorFile(std::filesystem::path file, json::object keys) : file_(std::move(file)), keys_(std::move(keys)) {}

  const json::value* find(std::string_view key) const {
    const json::value* value = keys_.if_contains(key);
    return value && !value->is_null() ? value : nullptr;
  }
  bool flag(std::string_view key, bool otherwise) const {
    const json::value* value = find(key);
    if (!value) return otherwise;
    if (!value->is_bool()) refuse(key, "true or false");
    return value->get_bool();
  }
  double number(std::string_view key, double otherwise) const {
    const json::value* value = find(key);
    return value ? to_double(key, *value) : otherwise;
  }
  double to_double(std::string_view key, const json::value& value) const {
    boost::system::error_code code;
    const auto number = value.to_number<double>(code);
    if (code || !std::isfinite(number)) refuse(key, "a number");
    return number;
  }
  std::int64_t side(std::string_view key, const json::value& value) const {
    boost::system::error_code code;
    const auto number = value.to_number<std::int64_t>(code);
    if (code || number < 1 || number > max_side) refuse(key, "pixels from 1 to " + std::to_string(max_side));
    return number;
  }
  /// N, {"shortest_edge": N} or {"height": N, "width": N}.
  std::int64_t square(std::string_view key, const json::value& value) const {
    const json::object* object = value.if_object();
    if (!object) return side(key, value);
    if (const json::value* edge = object->if_contains("shortest_edge")) return side(key, *edge);
    const json::value *height = object->if_contains("height"), *width = object->if_contains("width");
    if (!height || !width) refuse(key, "a number, {\"shortest_edge\"} or {\"height\", \"width\"}");
    if (side(key, *height) != side(key, *width)) refuse(key, "equal height and width");
    return side(key, *height);
  }
  std::array<double, 3> channels(std::string_view key, const std::array<double, 3>& otherwise) const {
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
  std::vector<Resolution> pinpoints(std::string_view key) const {
    const json::value* value = find(key);
    std::vector<Resolution> pairs;
    if (!value) return pairs;
    const json::array* list = value->if_array();
    if (!list || list->empty() || list->size() > 10000) refuse(key, "a list of [height, width] pairs");
    for (const json::value& item : *list) {
      const json::array* pair = item.if_array();
      if (!pair || pair->size() != 2) refuse(key, "a list of [height, width] pairs");
      pairs.emplace_back(side(key, (*pair)[0]), side(key, (*pair)[1]));
    }
    return pairs;
  }
  [[noreturn]] void refuse(std::string_view key, const std::string& expected,
                           ErrorKind kind = ErrorKind::config_invalid) const {
    const json::value* value = find(key);
    throw Error(kind,
                {file_.string() + ": " + std::string(key), expected, value ? json::serialize(*value) : "no such key",
                 "correct the file, or copy it from the model's repository again"});
  }

 private:
  std::filesystem::path file_;
  json::object keys_;
};

std::optional<ProcessorFile> open_file(const std::filesystem::path& directory) {
  const auto object_in = [](const std::filesystem::path& file) {
    const json::value value = read_json(file);
    if (!value.is_object())
      throw Error(ErrorKind::config_invalid, {file.string(), "a JSON object", "something else", "copy the file again"});
    return value.get_object();
  };
  if (const std::filesystem::path file = directory / "preprocessor_config.json"; std::filesystem::exists(file))
    return ProcessorFile(file, object_in(file));
  const std::filesystem::path file = directory / "processor_config.json";
  if (!std::filesystem::exists(file)) return std::nullopt;
  const json::object whole = object_in(file);
  const json::value* nested = whole.if_contains("image_processor");
  if (!nested || !nested->is_object()) return std::nullopt;
  return ProcessorFile(file, nested->get_object());
}

/// The class a file names, without the suffixes of its back ends; OneVision's where it names none.
const ClassDefaults& class_of(const ProcessorFile& file) {
  std::string name(known_classes().front().name), all;
  const std::string_view key = file.find("image_processor_type") ? "image_processor_type" : "feature_extractor_type";
  if (const json::value* value = file.find(key)) {
    if (!value->is_string()) file.refuse(key, "the name of a class");
    name = value->get_string();
  }
  for (const std::string_view suffix : {"Fast", "Pil"})
    if (name.ends_with(suffix)) name.resize(name.size() - suffix.size());
  for (const ClassDefaults& known : known_classes()) {
    if (known.name == name) return known;
    all += (all.empty() ? "" : " or ") + std::string(known.name);
  }
  file.refuse(key, all, ErrorKind::config_unsupported);
}

void read_steps(const ProcessorFile& file, ProcessorSettings& settings) {
  settings.do_resize = file.flag("do_resize", true);
  settings.do_rescale = file.flag("do_rescale", true);
  settings.do_normalize = file.flag("do_normalize", true);
  settings.rescale_factor = file.number("rescale_factor", 1.0 / 255.0);
  settings.mean = file.channels("image_mean", clip_mean);
  settings.std = file.channels("image_std", clip_std);
  for (const double value : settings.std)
    if (value == 0.0) file.refuse("image_std", "numbers other than 0");
  const double filter = file.number("resample", 3);
  if (filter != 2 && filter != 3) file.refuse("resample", "2 (bilinear) or 3 (bicubic)", ErrorKind::config_unsupported);
  settings.filter = static_cast<ResizeFilter>(static_cast<int>(filter));
}

ProcessorSettings from_file(const ProcessorFile& file, const std::optional<ModelPictures>& model) {
  const ClassDefaults& defaults = class_of(file);
  ProcessorSettings settings;
  settings.class_name = defaults.name;
  read_steps(file, settings);
  const json::value *size = file.find("size"), *crop = file.find("crop_size");
  settings.size = size ? file.square("size", *size) : defaults.size;
  settings.cut = settings.size;
  if (crop || defaults.center_crop) settings.cut = crop ? file.square("crop_size", *crop) : defaults.size;
  if (file.flag("do_center_crop", defaults.center_crop)) {
    if (!crop && !defaults.center_crop) file.refuse("crop_size", "a size, since do_center_crop is true");
    settings.crop = settings.cut;
  }
  if (!settings.do_resize && !settings.crop && settings.size != settings.cut)
    file.refuse("do_resize", "true where crop_size differs from size");
  settings.pinpoints = file.pinpoints("image_grid_pinpoints");
  if (settings.pinpoints.empty()) settings.pinpoints = model ? model->pinpoints : defaults.pinpoints;
  for (const auto& [height, width] : settings.pinpoints)
    if (height % settings.cut || width % settings.cut)
      file.refuse("image_grid_pinpoints", "multiples of the tile side " + std::to_string(settings.cut));
  if (model && model->tile != settings.side())
    file.refuse("size", "tiles of the vision tower's image_size " + std::to_string(model->tile));
  return settings;
}

}  // namespace

bool has_processor_file(const std::filesystem::path& directory) {
  return open_file(directory).has_value();
}

ProcessorSettings read_processor_settings(const std::filesystem::path& directory,
                                          const std::optional<ModelPictures>& model) {
  if (const std::optional<ProcessorFile> file = open_file(directory)) return from_file(*file, model);
  if (!model)
    throw Error(ErrorKind::io, {"no image processor in " + directory.string(), "preprocessor_config.json",
                                "no such file", "copy it from the model's repository"});
  ProcessorSettings settings;
  settings.size = settings.cut = model->tile;
  settings.pinpoints = model->pinpoints;
  settings.mean = model->clip ? clip_mean : std::array<double, 3>{0.5, 0.5, 0.5};
  settings.std = model->clip ? clip_std : std::array<double, 3>{0.5, 0.5, 0.5};
  return settings;
}

}  // namespace retain::framework
