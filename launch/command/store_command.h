// SPDX-License-Identifier: Apache-2.0
// What the parts of `retain store` share.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "launch/command/commands.h"

namespace retain::launch {

struct StoreOptions {
  std::string path;
  bool json = false;
};

/// A subcommand of `retain store` with its first argument, the store's folder.
CLI::App& add_store_command(CLI::App& store, StoreOptions& options, const char* name, const char* help);
/// The work is rank 0's; other ranks have nothing to do.
void run_on_first(Action& action, std::function<int()> work);

/// rollback, blend, tag, gc.
void add_store_changes(CLI::App& store, const std::shared_ptr<StoreOptions>& options, Action& action);
/// merge.
void add_store_merge(CLI::App& store, const std::shared_ptr<StoreOptions>& options, Action& action);
/// export.
void add_store_export(CLI::App& store, const std::shared_ptr<StoreOptions>& options, Action& action);

}  // namespace retain::launch
