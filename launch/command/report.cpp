// SPDX-License-Identifier: Apache-2.0
// `retain report STORE [STORE …]`: what the stores' studies say, as one page or as a summary in Markdown.
#include <fstream>
#include <iostream>
#include <map>

#include "framework/base/json.h"
#include "framework/report/html.h"
#include "framework/report/markdown.h"
#include "framework/store/store.h"
#include "launch/command/commands.h"

namespace retain::launch {
namespace {

using framework::Error;
using framework::ErrorKind;

struct Options {
  std::vector<std::string> stores;
  std::string out;
  bool study = false;
};

framework::StudySource read_source(const std::string& path) {
  const framework::Store store = framework::Store::open(path);
  const std::filesystem::path file = store.root() / "study.json";
  if (!std::filesystem::exists(file))
    throw Error(ErrorKind::store_invalid, {path + " has no study", "a store that `retain run` has measured something in", "no study.json",
                                           "run an experiment with benchmarks or probes on it"});
  return {"", framework::study_from_json(framework::read_json(file, ErrorKind::store_invalid), file.string()),
          framework::KeptAnswers(store), framework::KeptReadings(store)};
}

/// The study's title, numbered from the second of a name on.
std::vector<framework::StudySource> read_sources(const std::vector<std::string>& stores) {
  std::vector<framework::StudySource> sources;
  std::map<std::string, int> seen;
  for (const std::string& store : stores) {
    framework::StudySource source = read_source(store);
    source.label = source.study.title;
    if (const int count = ++seen[source.label]; count > 1) source.label += " (" + std::to_string(count) + ")";
    sources.push_back(std::move(source));
  }
  return sources;
}

int report(const Options& options) {
  const framework::Report report = framework::analyse(read_sources(options.stores));
  const std::string out = !options.out.empty() ? options.out : options.study ? "study.md" : "report.html";
  std::ofstream page(out, std::ios::binary);
  page << (options.study ? framework::to_markdown(report) : framework::to_html(report));
  page.close();
  if (!page) throw Error(ErrorKind::io, "cannot write " + out);
  for (const framework::StudySource& source : report.sources)
    std::cout << (report.sources.size() > 1 ? source.label + "\n" : "") << framework::measures_table(source.study);
  return 0;
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("report", "Write one or several stores' studies as one self-contained HTML page, or as Markdown");
  auto options = std::make_shared<Options>();
  command->add_option("store", options->stores, "Stores of experiments; several are compared")->required();
  command->add_option("-o,--out", options->out, "File to write (default report.html; study.md with --study)");
  command->add_flag("--study", options->study, "A summary in Markdown: the paper's findings with intervals, and the tables");
  command->callback([&action, options] { action = [=](const Session& session) { return session.is_root() ? report(*options) : 0; }; });
}

}  // namespace retain::launch
