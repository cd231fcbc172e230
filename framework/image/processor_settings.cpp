// SPDX-License-Identifier: Apache-2.0
// Reads a processor's JSON file. Absent keys take the defaults of the class the file names, as in transformers.
#include <string_view>

#include "framework/image/processor.h"
#include "framework/image/processor_file.h"

namespace retain::framework {
namespace {

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
      {"LlavaNextImageProcessor", 224, true, {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}}},
      {"CLIPImageProcessor", 224, true, {}},
      {"LlavaImageProcessor", 224, true, {}}};
  return classes;
}

/// OneVision's where the file names none.
const ClassDefaults& class_of(const ProcessorFile& file) {
  const std::string name = file.class_name();
  if (name.empty()) return known_classes().front();
  std::string all;
  for (const ClassDefaults& known : known_classes()) {
    if (known.name == name) return known;
    all += (all.empty() ? "" : " or ") + std::string(known.name);
  }
  file.refuse(file.class_key(), all, ErrorKind::config_unsupported);
}

/// A picture without a crop has to come out square.
void read_whole_picture(const ProcessorFile& file, ProcessorSettings& settings) {
  settings.pads = settings.class_name == "LlavaImageProcessor" && file.flag("do_pad", false);
  const json::value* size = file.find("size");
  const json::object* sides = size ? size->if_object() : nullptr;
  settings.keeps_aspect = !sides || sides->contains("shortest_edge");
  if (!settings.crop && !settings.pads && settings.keeps_aspect)
    file.refuse("do_center_crop", "true where pictures keep their aspect", ErrorKind::config_unsupported);
  if (!settings.crop && !settings.do_resize)
    file.refuse("do_resize", "true where pictures are not cropped", ErrorKind::config_unsupported);
}

ProcessorSettings from_file(const ProcessorFile& file, const std::optional<ModelPictures>& model) {
  const ClassDefaults& defaults = class_of(file);
  ProcessorSettings settings;
  settings.class_name = defaults.name;
  file.read_pixels(settings);
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
  if (defaults.pinpoints.empty())
    read_whole_picture(file, settings);
  else
    settings.pinpoints = file.pinpoints("image_grid_pinpoints");
  if (settings.pinpoints.empty() && !defaults.pinpoints.empty())
    settings.pinpoints = model ? model->pinpoints : defaults.pinpoints;
  for (const auto& [height, width] : settings.pinpoints)
    if (height % settings.cut || width % settings.cut)
      file.refuse("image_grid_pinpoints", "multiples of the tile side " + std::to_string(settings.cut));
  if (model && model->tile != settings.side())
    file.refuse("size", "tiles of the vision tower's image_size " + std::to_string(model->tile));
  return settings;
}

}  // namespace

bool has_processor_file(const std::filesystem::path& directory) {
  return ProcessorFile::open(directory).has_value();
}

ProcessorSettings read_processor_settings(const std::filesystem::path& directory,
                                          const std::optional<ModelPictures>& model) {
  if (const std::optional<ProcessorFile> file = ProcessorFile::open(directory)) return from_file(*file, model);
  if (!model)
    throw Error(ErrorKind::io, {"no image processor in " + directory.string(), "preprocessor_config.json",
                                "no such file", "copy it from the model's repository"});
  return settings_for(*model);
}

ProcessorSettings read_frame_settings(const std::filesystem::path& directory, const ModelPictures& model) {
  const std::optional<ProcessorFile> file = ProcessorFile::open_for_videos(directory);
  ProcessorSettings settings = settings_for(model);
  settings.pinpoints.clear();
  settings.crop.reset();
  settings.pads = settings.keeps_aspect = false;
  if (!file) return settings;
  constexpr std::string_view known = "LlavaOnevisionVideoProcessor";
  if (const std::string name = file->class_name(); name.ends_with("VideoProcessor") && name != known)
    file->refuse(file->class_key(), std::string(known), ErrorKind::config_unsupported);
  file->read_pixels(settings);
  const json::value *size = file->find("size"), *crop = file->find("crop_size");
  settings.size = settings.cut = size ? file->square("size", *size) : 384;
  settings.keeps_aspect = size && size->is_object() && size->get_object().contains("shortest_edge");
  if (file->flag("do_center_crop", false)) settings.crop = crop ? file->square("crop_size", *crop) : settings.size;
  if (settings.side() != model.tile)
    file->refuse("size", "frames of the vision tower's image_size " + std::to_string(model.tile));
  if (!settings.crop && (settings.keeps_aspect || !settings.do_resize))
    file->refuse("do_resize", "frames that come out square", ErrorKind::config_unsupported);
  return settings;
}

ProcessorSettings settings_for(const ModelPictures& model) {
  ProcessorSettings settings;
  settings.size = settings.cut = model.tile;
  settings.pinpoints = model.pinpoints;
  if (model.pinpoints.empty()) {
    settings.pads = model.pads;
    settings.keeps_aspect = !model.pads;
    if (!model.pads) settings.crop = model.tile;
  }
  settings.mean = model.clip ? kClipMean : std::array<double, 3>{0.5, 0.5, 0.5};
  settings.std = model.clip ? kClipStd : std::array<double, 3>{0.5, 0.5, 0.5};
  return settings;
}

}  // namespace retain::framework
