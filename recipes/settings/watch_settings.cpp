// SPDX-License-Identifier: Apache-2.0
#include "recipes/settings/watch_settings.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <limits>

#include "framework/base/error.h"
#include "framework/config/nearest.h"

namespace retain::recipes {
namespace {

using framework::ConfigTable;
using framework::Error;
using framework::ErrorKind;
namespace json = framework::json;

constexpr std::array kActions = {WatchAction::stop, WatchAction::lower_rate, WatchAction::roll_back};

void require_known(const ConfigTable& table, const char* key, const std::string& name, const std::vector<std::string>& known) {
  if (name.empty() || std::find(known.begin(), known.end(), name) != known.end()) return;
  throw Error(ErrorKind::config_invalid, {table.where(key), std::string("the name of a [[") + key + "]]", name,
                                          framework::did_you_mean(name, known)});
}

std::optional<double> bound(const ConfigTable& table, const char* key, double least) {
  if (!table.has(key)) return std::nullopt;
  return table.number(key, std::nullopt, least, 1e12);
}

std::string text_of(const char* word, double figure, const char* sign, double limit) {
  char text[96];
  std::snprintf(text, sizeof text, "%s%.6g %s %.6g", word, figure, sign, limit);
  return text;
}

Watch read_watch(const ConfigTable& table, const std::vector<std::string>& probes, const std::vector<std::string>& benchmarks) {
  Watch watch;
  watch.probe = table.text("probe", "");
  watch.benchmark = table.text("benchmark", "");
  if (watch.probe.empty() == watch.benchmark.empty())
    throw Error(ErrorKind::config_invalid, {table.where("probe"), "one of probe and benchmark",
                                            watch.probe.empty() ? "neither" : "both", "say what the rule watches"});
  require_known(table, "probe", watch.probe, probes);
  require_known(table, "benchmark", watch.benchmark, benchmarks);
  watch.name = table.text("name", watch.probe + watch.benchmark);
  if (watch.probe.empty()) watch.limit = table.integer("limit", 0, 0, std::numeric_limits<std::int32_t>::max());
  watch.above = bound(table, "above", -1e12);
  watch.below = bound(table, "below", -1e12);
  watch.rise = bound(table, "rise", 0);
  watch.fall = bound(table, "fall", 0);
  if (!watch.above && !watch.below && !watch.rise && !watch.fall)
    throw Error(ErrorKind::config_invalid, {table.where("above"), "at least one of above, below, rise and fall",
                                            "no bound", "say what may not happen"});
  const std::string action = table.choice("action", {"stop", "lower_rate", "roll_back"}, "stop");
  for (const WatchAction known : kActions)
    if (action == name_of(known)) watch.action = known;
  if (watch.action != WatchAction::stop) watch.factor = table.number("factor", watch.factor, 0, 1);
  if (watch.action == WatchAction::roll_back) watch.most = table.integer("most", watch.most, 0, 1000);
  watch.steps = read_steps(table);
  if (watch.steps.empty()) watch.steps.per_decade = 1;
  return watch;
}

}  // namespace

const char* name_of(WatchAction action) {
  switch (action) {
    case WatchAction::stop: return "stop";
    case WatchAction::lower_rate: return "lower_rate";
    case WatchAction::roll_back: return "roll_back";
  }
  return "";
}

std::string Watch::passed(double figure, double start) const {
  if (above && figure > *above) return text_of("", figure, ">", *above);
  if (below && figure < *below) return text_of("", figure, "<", *below);
  if (rise && figure - start > *rise) return text_of("rise ", figure - start, ">", *rise);
  if (fall && start - figure > *fall) return text_of("fall ", start - figure, ">", *fall);
  return {};
}

std::vector<Watch> read_watches(const ConfigTable& root, const std::vector<std::string>& probes,
                                const std::vector<std::string>& benchmarks) {
  std::vector<Watch> watches;
  for (const ConfigTable& table : root.tables("watch")) {
    watches.push_back(read_watch(table, probes, benchmarks));
    for (std::size_t i = 0; i + 1 < watches.size(); ++i)
      if (watches[i].name == watches.back().name)
        throw Error(ErrorKind::config_invalid, {table.where("name"), "a name of its own for every rule",
                                                watches[i].name + " twice", "give one of them another name"});
  }
  return watches;
}

json::object describe(const Watch& watch) {
  json::object settings{{"action", name_of(watch.action)}, {"factor", watch.factor}, {"most", watch.most},
                        {"listed", json::value_from(watch.steps.listed)}, {"per_decade", watch.steps.per_decade}};
  if (watch.above) settings["above"] = *watch.above;
  if (watch.below) settings["below"] = *watch.below;
  if (watch.rise) settings["rise"] = *watch.rise;
  if (watch.fall) settings["fall"] = *watch.fall;
  return settings;
}

}  // namespace retain::recipes
