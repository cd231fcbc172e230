// SPDX-License-Identifier: Apache-2.0
// Model directories in and out of a store: `retain import`, `retain store export` and its short form `retain export`.
#include <iostream>

#include "framework/store/refs.h"
#include "framework/store/stage_reader.h"
#include "launch/command/store_command.h"
#include "models/weights/directory_source.h"
#include "recipes/study/base_import.h"
#include "recipes/study/stage_export.h"

namespace retain::launch {
namespace {

using framework::Store;
using framework::StoreLock;

int import_model(const std::string& model, const std::string& path, const std::string& branch) {
  const models::LmmConfig config = models::read_config(model);
  const models::DirectorySource weights(model, config);
  const Store store = Store::open_or_create(path);
  const StoreLock lock(store, "retain import " + model);
  const std::string id = recipes::write_base(store, lock, model, weights);
  framework::move_ref(store, lock, framework::RefKind::branch, branch, id, "import of " + model);
  std::cout << id << '\n';
  return 0;
}

int export_model(const StoreOptions& options, const std::string& stage, const std::string& directory,
                 const std::string& naming, bool adapter) {
  const Store store = Store::open(options.path);
  const framework::StageReader reader(store, store.resolve(stage));
  if (adapter)
    recipes::export_adapter(store, reader, directory);
  else
    recipes::export_stage(reader, directory, naming);
  std::cout << directory << '\n';
  return 0;
}

void fill_export(CLI::App& command, const std::shared_ptr<StoreOptions>& options, Action& action) {
  auto stage = std::make_shared<std::string>();
  auto directory = std::make_shared<std::string>();
  auto naming = std::make_shared<std::string>();
  auto adapter = std::make_shared<bool>(false);
  command.add_option("stage", *stage, "Branch, tag or stage id")->required();
  command.add_option("directory", *directory, "The folder to write; must be absent or empty")->required();
  command.add_option("--naming", *naming,
                     "Tensor names: hub, hf, v4_52, memory or orig (default: those of config.json)");
  command.add_flag("--adapter", *adapter, "Only the LoRA adapters the stage keeps, in PEFT's format");
  command.callback([=, &action] {
    run_on_first(action, [=] { return export_model(*options, *stage, *directory, *naming, *adapter); });
  });
}

}  // namespace

void add_store_export(CLI::App& store, const std::shared_ptr<StoreOptions>& options, Action& action) {
  fill_export(add_store_command(store, *options, "export", "Write a stage as a Hugging Face model directory"), options,
              action);
}

void add_import(CLI::App& app, Action& action) {
  CLI::App& command =
      *app.add_subcommand("import", "Put a Hugging Face model directory into a store as its first stage");
  auto model = std::make_shared<std::string>();
  auto path = std::make_shared<std::string>();
  auto branch = std::make_shared<std::string>("base");
  command.add_option("model", *model, "The model directory")->required();
  command.add_option("store", *path, "The store's folder; created when absent")->required();
  command.add_option("--branch", *branch, "The branch to point at it")->capture_default_str();
  command.callback([=, &action] { run_on_first(action, [=] { return import_model(*model, *path, *branch); }); });
}

void add_export(CLI::App& app, Action& action) {
  CLI::App& command = *app.add_subcommand("export", "Write a stage of a store as a Hugging Face model directory");
  auto options = std::make_shared<StoreOptions>();
  command.add_option("store", options->path, "The store's folder")->required();
  fill_export(command, options, action);
}

}  // namespace retain::launch
