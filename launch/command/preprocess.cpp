// SPDX-License-Identifier: Apache-2.0
// `retain preprocess --model DIR --image F… --out X.safetensors`: the pixels a model is given, under the names
// transformers' image processor returns for a list of pictures, one a sample.
#include "launch/command/commands.h"
#include "launch/command/pixel_files.h"
#include "models/llava/pictures.h"
#include "models/lmm/config.h"

namespace retain::launch {
namespace {

struct Options {
  std::string model;
  std::vector<std::string> images;
  std::string out;
  std::string mode = "clean";
};

/// The processor file decides where there is one; else what config.json implies.
int preprocess(const Options& options) {
  const std::filesystem::path directory = options.model;
  const auto alpha = options.mode == "clean" ? framework::AlphaMode::white : framework::AlphaMode::drop;
  if (framework::makes_patches(directory)) {
    framework::PatchSettings settings = framework::read_patch_settings(directory);
    settings.alpha = alpha;
    write_patches(options.out, options.images, settings);
    return 0;
  }
  framework::ProcessorSettings settings = framework::has_processor_file(directory)
                                              ? framework::read_processor_settings(directory)
                                              : models::llava::read_processor(directory, models::read_config(directory));
  settings.alpha = alpha;
  write_tiles(options.out, options.images, settings);
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
