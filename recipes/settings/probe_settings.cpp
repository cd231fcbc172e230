// SPDX-License-Identifier: Apache-2.0
#include "recipes/settings/probe_settings.h"

#include <algorithm>
#include <limits>

#include "framework/base/error.h"
#include "framework/config/nearest.h"
#include "framework/text/regex.h"
#include "recipes/settings/source_settings.h"

namespace retain::recipes {
namespace {

using framework::ConfigTable;
using framework::Error;
using framework::ErrorKind;
namespace json = framework::json;
namespace fs = std::filesystem;

constexpr std::int64_t kMany = std::numeric_limits<std::int32_t>::max();

void require_pattern(const ConfigTable& table, const std::string& pattern) {
  try {
    framework::Regex regex(pattern);
  } catch (const Error& error) {
    throw Error(ErrorKind::config_invalid, {table.where("pattern"), "a PCRE2 pattern", pattern, error.what()});
  }
}

void read_vocabulary(const ConfigTable& table, Probe& probe, const std::vector<std::string>& tasks) {
  probe.tokens = table.texts("tokens");
  probe.pattern = table.text("pattern", "");
  probe.task = table.text("task", "");
  const int ways = (probe.tokens.empty() ? 0 : 1) + (probe.pattern.empty() ? 0 : 1) + (probe.task.empty() ? 0 : 1);
  if (ways != 1)
    throw Error(ErrorKind::config_invalid, {table.where("kind"), "one of tokens, pattern and task beside kind = \"token_bias\"",
                                            ways == 0 ? "none" : "several", "say which tokens the probe is about"});
  if (!probe.pattern.empty()) require_pattern(table, probe.pattern);
  if (probe.task.empty()) return;
  probe.count = table.integer("count", probe.count, 1, kMany);
  probe.task_records = table.integer("task_records", probe.task_records, 1, kMany);
  if (std::find(tasks.begin(), tasks.end(), probe.task) != tasks.end()) return;
  throw Error(ErrorKind::config_invalid,
              {table.where("task"), "the name of a [[task]]", probe.task, framework::did_you_mean(probe.task, tasks)});
}

const char* name_of(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::token_bias: return "token_bias";
    case ProbeKind::output_distance: return "output_distance";
    case ProbeKind::layer_delta: return "layer_delta";
    case ProbeKind::samples: return "samples";
  }
  return "";
}

Probe read_probe(const ConfigTable& table, const fs::path& folder, bool faithful, const std::vector<std::string>& tasks) {
  Probe probe;
  const std::string kind = table.choice("kind", {"number_bias", "token_bias", "output_distance", "layer_delta", "samples"}, "number_bias");
  probe.numbers = kind == "number_bias";
  for (const ProbeKind known : {ProbeKind::output_distance, ProbeKind::layer_delta, ProbeKind::samples})
    if (kind == name_of(known)) probe.kind = known;
  probe.name = table.text("name", kind);
  probe.data = path_of(table, "data", folder, std::nullopt);
  probe.images = path_of(table, "images", folder, "");
  probe.limit = table.integer("limit", 0, 0, kMany);
  probe.steps = read_steps(table);
  if (probe.kind == ProbeKind::token_bias) {
    probe.generated = table.choice("text", {"captions", "generated"}, faithful ? "generated" : "captions") == "generated";
    if (!probe.numbers) read_vocabulary(table, probe, tasks);
  }
  if (probe.generated || probe.kind == ProbeKind::samples)
    probe.max_new_tokens = table.integer("max_new_tokens", probe.generated ? 256 : 32, 1, 1 << 20);
  return probe;
}

}  // namespace

std::vector<Probe> read_probes(const ConfigTable& root, const fs::path& folder, bool faithful, const std::vector<std::string>& tasks) {
  std::vector<Probe> probes;
  for (const ConfigTable& table : root.tables("probe")) {
    probes.push_back(read_probe(table, folder, faithful, tasks));
    for (std::size_t i = 0; i + 1 < probes.size(); ++i)
      if (probes[i].name == probes.back().name)
        throw Error(ErrorKind::config_invalid, {table.where("name"), "a name of its own for every probe",
                                                probes[i].name + " twice", "give one of them another name"});
  }
  return probes;
}

json::object describe(const Probe& probe) {
  json::object settings{{"kind", name_of(probe.kind)}, {"limit", probe.limit}};
  if (probe.kind == ProbeKind::token_bias) {
    settings["text"] = probe.generated ? "generated" : "captions";
    if (probe.numbers) settings["tokens"] = "numbers";
    if (!probe.tokens.empty()) settings["tokens"] = json::value_from(probe.tokens);
    if (!probe.pattern.empty()) settings["pattern"] = probe.pattern;
  }
  if (probe.generated || probe.kind == ProbeKind::samples) settings["max_new_tokens"] = probe.max_new_tokens;
  return settings;
}

}  // namespace retain::recipes
