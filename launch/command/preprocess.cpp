// SPDX-License-Identifier: Apache-2.0
// `retain preprocess --model DIR --image F… --out X.safetensors`: the pixels a model is given, under the names
// transformers' image processor returns for a list of pictures, one a sample.
#include <algorithm>
#include <thread>

#include "framework/base/error.h"
#include "framework/image/prefetch.h"
#include "framework/image/processor.h"
#include "launch/command/commands.h"
#include "models/lmm/config.h"
#include "models/llava/pictures.h"
#include "models/weights/safetensors_writer.h"

namespace retain::launch {
namespace {

using framework::DType;
using framework::ProcessedImage;
using framework::ProcessorSettings;

struct Options {
  std::string model;
  std::vector<std::string> images;
  std::string out;
  std::string mode = "clean";
};

/// The processor file alone where there is one; else what config.json implies.
ProcessorSettings settings_of(const Options& options) {
  const std::filesystem::path directory = options.model;
  ProcessorSettings settings = framework::has_processor_file(directory)
                                   ? framework::read_processor_settings(directory)
                                   : models::llava::read_processor(directory, models::read_config(directory));
  settings.alpha = options.mode == "clean" ? framework::AlphaMode::white : framework::AlphaMode::drop;
  return settings;
}

/// Pictures with fewer tiles than the most are padded with zeros.
std::int64_t most_tiles(const Options& options, const ProcessorSettings& settings) {
  std::int64_t most = 0;
  for (const std::string& file : options.images) {
    const framework::ImageSize size = framework::read_size(file);
    most = std::max(most, framework::count_tiles(size.height, size.width, settings));
  }
  return most;
}

void write_pixels(models::SafetensorsWriter& writer, const ProcessedImage& picture, std::int64_t index,
                  std::int64_t most) {
  const std::int64_t tile = 3 * picture.side * picture.side;
  if (picture.tiles_count > most)
    throw framework::Error(framework::ErrorKind::image_corrupt,
                           {"a picture is larger than its header says", std::to_string(most) + " tiles at most",
                            std::to_string(picture.tiles_count) + " tiles", "fetch the file again"});
  writer.write("pixel_values", index * most * tile, std::as_bytes(std::span(picture.tiles)));
  const std::vector<float> zeros(static_cast<std::size_t>((most - picture.tiles_count) * tile));
  if (!zeros.empty())
    writer.write("pixel_values", (index * most + picture.tiles_count) * tile, std::as_bytes(std::span(zeros)));
}

int preprocess(const Options& options) {
  const ProcessorSettings settings = settings_of(options);
  const std::int64_t most = most_tiles(options, settings), side = settings.side();
  const auto count = static_cast<std::int64_t>(options.images.size());
  const bool counts_pictures = settings.class_name == "LlavaOnevisionImageProcessor";
  std::vector<framework::TensorInfo> tensors{{"image_sizes", DType::int64, {count, 2}},
                                             {"pixel_values", DType::float32, {count, most, 3, side, side}}};
  if (counts_pictures) tensors.push_back({"batch_num_images", DType::int64, {count}});
  models::SafetensorsWriter writer(options.out, tensors);

  const std::size_t threads = std::max(1U, std::thread::hardware_concurrency());
  framework::Prefetch<ProcessedImage> pictures(options.images.size(), threads, threads + 1, [&](std::size_t index) {
    return framework::process_image(framework::load_image(options.images[index], settings.alpha), settings);
  });
  std::vector<std::int64_t> sizes;
  for (std::int64_t index = 0; index < count; ++index) {
    const ProcessedImage picture = pictures.next();
    write_pixels(writer, picture, index, most);
    sizes.insert(sizes.end(), {picture.original_height, picture.original_width});
  }
  writer.write("image_sizes", 0, std::as_bytes(std::span(sizes)));
  const std::vector<std::int64_t> ones(static_cast<std::size_t>(count), 1);
  if (counts_pictures) writer.write("batch_num_images", 0, std::as_bytes(std::span(ones)));
  writer.finish();
  return 0;
}

}  // namespace

void add_preprocess(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("preprocess", "Pixels of pictures as a model is given them, as safetensors");
  auto options = std::make_shared<Options>();
  command->add_option("--model", options->model, "Folder with config.json and preprocessor_config.json")->required();
  command->add_option("--image", options->images, "JPEG, PNG or WebP files")->required();
  command->add_option("--out", options->out, "The file to write")->required();
  command->add_option("--mode", options->mode, "Transparency: clean (on white) or faithful (dropped)")
      ->check(CLI::IsMember({"clean", "faithful"}));
  command->callback([&action, options] {
    action = [options](const Session& session) { return session.is_root() ? preprocess(*options) : 0; };
  });
}

}  // namespace retain::launch
