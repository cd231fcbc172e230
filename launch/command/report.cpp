// SPDX-License-Identifier: Apache-2.0
// `retain report STORE -o report.html`: the study of a store as one page.
#include <fstream>
#include <iostream>

#include "framework/base/json.h"
#include "framework/report/html.h"
#include "framework/store/store.h"
#include "launch/command/commands.h"

namespace retain::launch {
namespace {

int report(const std::string& store, const std::string& out) {
  using framework::Error;
  using framework::ErrorKind;
  const std::filesystem::path file = framework::Store::open(store).root() / "study.json";
  if (!std::filesystem::exists(file))
    throw Error(ErrorKind::store_invalid, {store + " has no study", "a store that `retain run` has measured something in", "no study.json",
                                           "run an experiment with benchmarks or probes on it"});
  const framework::Study study = framework::study_from_json(framework::read_json(file, ErrorKind::store_invalid), file.string());
  std::ofstream page(out, std::ios::binary);
  page << framework::to_html(study);
  page.close();
  if (!page) throw Error(ErrorKind::io, "cannot write " + out);
  std::cout << framework::measures_table(study);
  return 0;
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("report", "Write a study as one self-contained HTML page");
  auto store = std::make_shared<std::string>();
  auto out = std::make_shared<std::string>("report.html");
  command->add_option("store", *store, "Store of the experiment")->required();
  command->add_option("-o,--out", *out, "Page to write");
  command->callback([&action, store, out] { action = [=](const Session& session) { return session.is_root() ? report(*store, *out) : 0; }; });
}

}  // namespace retain::launch
