// SPDX-License-Identifier: Apache-2.0
#include "recipes/study/stage_export.h"

#include <cstdlib>
#include <fstream>

#include "framework/base/error.h"
#include "models/lmm/config.h"
#include "models/lmm/table.h"
#include "models/weights/export.h"
#include "recipes/methods/lora.h"
#include "recipes/methods/peft_files.h"
#include "recipes/methods/stage_method.h"

namespace retain::recipes {
namespace {

namespace fs = std::filesystem;
using framework::Error;
using framework::ErrorKind;

/// A folder for the small files, since a configuration is read from a folder; removed at the end.
class FilesFolder {
 public:
  explicit FilesFolder(const models::SmallFiles& files) {
    std::string pattern = (fs::temp_directory_path() / "retain-export-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) throw Error(ErrorKind::io, "cannot create a folder in " + fs::temp_directory_path().string());
    path_ = pattern;
    for (const auto& [name, bytes] : files) {
      fs::create_directories((path_ / name).parent_path());
      std::ofstream file(path_ / name, std::ios::binary);
      file << bytes << std::flush;
      if (!file)
        throw Error(
            ErrorKind::io,
            {"cannot write " + (path_ / name).string(), {}, {}, "free space in the folder for temporary files"});
    }
  }
  ~FilesFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  FilesFolder(const FilesFolder&) = delete;
  FilesFolder& operator=(const FilesFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

models::SmallFiles files_of(const framework::StageReader& stage) {
  models::SmallFiles files;
  for (const std::string& name : stage.files()) files[name] = stage.read_file(name);
  if (files.contains("config.json")) return files;
  throw Error(ErrorKind::store_invalid, {"stage " + stage.id() + " has no config.json", "a stage that descends from an imported model", {},
                                         "import the model directory with `retain import`"});
}

parallel::ParameterTable table_of(const models::LmmConfig& config) {
  return models::build_table(config, 1, models::partition_for(config, 1), framework::DType::float32);
}

}  // namespace

void export_stage(const framework::StageReader& stage, const fs::path& directory, const std::string& naming) {
  const models::SmallFiles files = files_of(stage);
  const FilesFolder folder(files);
  const models::LmmConfig config = models::read_config(folder.path());
  const parallel::ParameterTable table = table_of(config);
  for (const framework::TensorInfo& tensor : stage.tensors())
    if (!table.find(tensor.name))
      throw Error(
          ErrorKind::config_unsupported,
          {"stage " + stage.id() + " holds parameters that no model of Hugging Face's has", "the model's own alone",
           tensor.name, "export adapters with --adapter, or teach with merge = true; experts stay in the store"});
  models::ExportOptions options;
  options.naming = naming;
  models::export_model(stage, config, files, directory, options);
}

void export_adapter(const framework::Store& store, const framework::StageReader& stage, const fs::path& directory) {
  const FilesFolder folder(files_of(stage));
  const models::LmmConfig config = models::read_config(folder.path());
  const auto method = method_in(store, stage, table_of(config), {});
  const auto* lora = dynamic_cast<const Lora*>(method.get());
  if (!lora)
    throw Error(ErrorKind::usage, {"stage " + stage.id() + " holds no adapters", "one taught by LoRA with merge = false", "none",
                                   "export it as a model: what it learned is in the weights"});
  const LoraSettings& settings = lora->settings();
  write_peft(stage, config, {settings.rank, settings.alpha, settings.dropout, settings.rank_stabilised}, "", directory);
}

}  // namespace retain::recipes
