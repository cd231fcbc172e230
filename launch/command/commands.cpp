// SPDX-License-Identifier: Apache-2.0
// The list of subcommands, in the order `retain --help` shows them.
#include "launch/command/commands.h"

namespace retain::launch {

void add_commands(CLI::App& app, Action& action) {
  add_tokenize(app, action);
  add_run(app, action);
  add_plan(app, action);
  add_data(app, action);
  add_eval(app, action);
  add_forward(app, action);
  add_generate(app, action);
  add_report(app, action);
  add_preprocess(app, action);
  add_score(app, action);
  add_init_model(app, action);
  add_store(app, action);
  add_import(app, action);
  add_export(app, action);
  add_doctor(app, action);
}

}  // namespace retain::launch
