// SPDX-License-Identifier: Apache-2.0
#include "recipes/stage_export.h"

#include <cstdlib>
#include <fstream>

#include "framework/base/error.h"
#include "models/lmm/config.h"
#include "models/weights/export.h"

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
      std::ofstream(path_ / name, std::ios::binary) << bytes;
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

}  // namespace

void export_stage(const framework::StageReader& stage, const fs::path& directory, const std::string& naming) {
  models::SmallFiles files;
  for (const std::string& name : stage.files()) files[name] = stage.read_file(name);
  if (!files.contains("config.json"))
    throw Error(ErrorKind::store_invalid, {"stage " + stage.id() + " has no config.json", "a stage that descends from an imported model", {},
                                           "import the model directory with `retain import`"});
  const FilesFolder folder(files);
  models::ExportOptions options;
  options.naming = naming;
  models::export_model(stage, models::read_config(folder.path()), files, directory, options);
}

}  // namespace retain::recipes
