// SPDX-License-Identifier: Apache-2.0
#include "recipes/records/data_check.h"

#include <algorithm>
#include <cstdio>
#include <numeric>

#include "framework/base/error.h"
#include "framework/store/store.h"
#include "parallel/parameter.h"
#include "recipes/evaluation/evaluator.h"
#include "recipes/records/picture_digests.h"
#include "recipes/records/record_lengths.h"
#include "recipes/settings/source_settings.h"

namespace retain::recipes {
namespace {

using framework::Error;
using framework::RecordSet;
namespace json = framework::json;

/// One record as it was found: tokens, answers, patches, visual tokens, pictures; or why it is bad.
struct Look {
  std::int64_t tokens = -1, answers = 0, patches = 0, visual_tokens = 0, pictures = 0;
  std::string kind, reason;
};

class Checker {
 public:
  Checker(const models::SampleBuilder* builder, bool decode, parallel::Communicator& world)
      : builder_(builder), decode_(decode), world_(world) {}

  /// `benchmark`: null for records to learn from.
  std::vector<Look> look(const RecordSet& records, const Benchmark* benchmark) const {
    const parallel::Range share = parallel::even_share(records.size(), world_.size(), world_.rank());
    json::array mine;
    for (std::int64_t i = share.begin; i < share.end; ++i) {
      const Look found = look_at(records, i, benchmark);
      mine.push_back(json::array{found.tokens, found.answers, found.patches, found.visual_tokens, found.pictures,
                                 found.kind, found.reason});
    }
    std::vector<Look> looks;
    for (const std::string& text : world_.gather_text(json::serialize(mine))) {
      const json::value shared = json::parse(text);
      for (const json::value& item : shared.as_array()) {
        const json::array& f = item.as_array();
        looks.push_back({f[0].as_int64(), f[1].as_int64(), f[2].as_int64(), f[3].as_int64(), f[4].as_int64(), std::string(f[5].as_string()),
                         std::string(f[6].as_string())});
      }
    }
    return looks;
  }

 private:
  Look look_at(const RecordSet& records, std::int64_t i, const Benchmark* benchmark) const {
    Look found;
    try {
      const framework::Record record = benchmark ? read_question(records, i, *benchmark).record : records.at(i);
      if (!benchmark) framework::validate_record(record, true);
      const std::vector<framework::Picture> pictures = record.pictures();
      found.pictures = static_cast<std::int64_t>(pictures.size());
      for (const framework::Picture& picture : pictures) {
        if (!picture.exists())
          throw Error(framework::ErrorKind::data_missing_image, records.where(i) + ": image " + picture.name() + " is not there");
        decode_ ? static_cast<void>(framework::load_image(picture)) : static_cast<void>(framework::read_size(picture));
      }
      if (builder_) measure(record, benchmark != nullptr, found);
      else found.tokens = 0;
    } catch (const Error& error) {
      found = {};
      found.kind = framework::name_of(error.kind());
      found.reason = error.parts().what + (error.parts().found.empty() ? "" : "; found: " + error.parts().found);
    }
    return found;
  }

  void measure(const framework::Record& record, bool question, Look& found) const {
    const models::Sample sample =
        question ? builder_->prompt_sample(record, models::Pictures::sizes) : builder_->training_sample(record, models::Pictures::sizes);
    found.tokens = static_cast<std::int64_t>(sample.ids.size());
    found.answers = sample.answers();
    for (const models::ImageInput& image : sample.images) {
      found.patches += image.patches;
      found.visual_tokens += image.tokens;
    }
  }

  const models::SampleBuilder* builder_;
  bool decode_;
  parallel::Communicator& world_;
};

SetCheck summary(const std::string& kind, const std::string& name, const RecordSet& records,
                 const std::vector<Look>& looks, std::int64_t max_length) {
  SetCheck check{.kind = kind,
                 .name = name,
                 .records = records.size(),
                 .bad = {},
                 .pictures = {},
                 .tokens = {},
                 .answers = {},
                 .patches = {},
                 .visual_tokens = {},
                 .lengths = {}};
  std::vector<std::int64_t> tokens, answers, patches, visual_tokens, pictures;
  for (std::size_t i = 0; i < looks.size(); ++i) {
    const Look& found = looks[i];
    if (found.tokens < 0) {
      check.bad.push_back({records.where(static_cast<std::int64_t>(i)), found.kind, found.reason});
      continue;
    }
    check.over_length += max_length > 0 && found.tokens > max_length;
    tokens.push_back(found.tokens);
    answers.push_back(found.answers);
    patches.push_back(found.patches);
    visual_tokens.push_back(found.visual_tokens);
    pictures.push_back(found.pictures);
  }
  check.tokens = distribution_of(std::move(tokens));
  check.answers = distribution_of(std::move(answers));
  check.patches = distribution_of(std::move(patches));
  check.visual_tokens = distribution_of(std::move(visual_tokens));
  check.pictures = distribution_of(std::move(pictures));
  return check;
}

/// Keeps a task's lengths for runs to find.
std::string keep(const Experiment& experiment, const RecordSet& records, const std::vector<Look>& looks, parallel::Communicator& world) {
  PictureDigests pictures(world);
  const std::string digest = pictures.of(records);
  const auto mode = experiment.mode == Mode::clean ? framework::LabelMode::clean : framework::LabelMode::faithful;
  const auto file = lengths_file(experiment.store, experiment.model, mode, records.digest(), digest);
  if (world.rank() != 0) return file.string();
  framework::Store::open_or_create(experiment.store);
  std::vector<RecordSize> sizes;
  for (const Look& found : looks) sizes.push_back({found.tokens, found.answers});
  write_lengths(file, sizes);
  return file.string();
}

json::object to_json(const Distribution& d) {
  return {{"min", d.least},         {"mean", d.mean}, {"p50", d.median}, {"p90", d.percentile_90},
          {"p99", d.percentile_99}, {"max", d.most},  {"total", d.total}};
}

std::string row(const char* name, const Distribution& d) {
  char line[160];
  std::snprintf(line, sizeof line, "  %-15s %9lld %11.1f %9lld %9lld %9lld %9lld %13lld\n", name, static_cast<long long>(d.least), d.mean,
                static_cast<long long>(d.median), static_cast<long long>(d.percentile_90), static_cast<long long>(d.percentile_99),
                static_cast<long long>(d.most), static_cast<long long>(d.total));
  return line;
}

}  // namespace

Distribution distribution_of(std::vector<std::int64_t> values) {
  Distribution d;
  if (values.empty()) return d;
  std::sort(values.begin(), values.end());
  const auto at = [&](std::size_t percent) { return values[(values.size() * percent + 99) / 100 - 1]; };
  d.least = values.front();
  d.most = values.back();
  d.total = std::accumulate(values.begin(), values.end(), std::int64_t{0});
  d.mean = static_cast<double>(d.total) / static_cast<double>(values.size());
  d.median = at(50);
  d.percentile_90 = at(90);
  d.percentile_99 = at(99);
  return d;
}

std::vector<SetCheck> check_data(const Experiment& experiment, const models::SampleBuilder* builder, bool decode,
                                 parallel::Communicator& world) {
  const Checker checker(builder, decode, world);
  std::vector<SetCheck> checks;
  for (const Task& task : experiment.tasks) {
    const RecordSet records = load_records(task);
    const std::vector<Look> looks = checker.look(records, nullptr);
    checks.push_back(summary("task", task.name, records, looks, task.settings.max_length));
    if (builder && !experiment.store.empty()) checks.back().lengths = keep(experiment, records, looks, world);
  }
  for (const Probe& probe : experiment.probes) {
    const RecordSet records = RecordSet::load(probe.data, {.images = probe.images});
    checks.push_back(summary("probe", probe.name, records, checker.look(records, nullptr), 0));
  }
  for (const Benchmark& benchmark : experiment.benchmarks) {
    const RecordSet records = load_records(benchmark);
    checks.push_back(summary("benchmark", benchmark.name, records, checker.look(records, &benchmark), 0));
  }
  return checks;
}

json::array to_json(const std::vector<SetCheck>& checks) {
  json::array list;
  for (const SetCheck& check : checks) {
    json::array bad;
    for (const BadRecord& one : check.bad) bad.push_back(json::object{{"where", one.where}, {"kind", one.kind}, {"reason", one.reason}});
    list.push_back(json::object{{"kind", check.kind},
                                {"name", check.name},
                                {"records", check.records},
                                {"bad", std::move(bad)},
                                {"over_length", check.over_length},
                                {"pictures", to_json(check.pictures)},
                                {"tokens", to_json(check.tokens)},
                                {"answers", to_json(check.answers)},
                                {"patches", to_json(check.patches)},
                                {"visual_tokens", to_json(check.visual_tokens)},
                                {"lengths", check.lengths}});
  }
  return list;
}

std::string describe_checks(const std::vector<SetCheck>& checks, std::size_t named) {
  std::string text;
  for (const SetCheck& check : checks) {
    text += check.kind + " " + check.name + ": " + std::to_string(check.records) + " records, " +
            std::to_string(check.bad.size()) + " bad, " + std::to_string(check.over_length) + " over-length\n";
    text += "                        min        mean       p50       p90       p99       max         total\n" +
            row("pictures", check.pictures);
    if (check.tokens.most > 0)
      text += row("tokens", check.tokens) + row("answer tokens", check.answers) +
              row("visual tokens", check.visual_tokens) + row("patches", check.patches);
    for (std::size_t i = 0; i < std::min(named, check.bad.size()); ++i)
      text += "  bad: " + check.bad[i].where + " [" + check.bad[i].kind + "] " + check.bad[i].reason + "\n";
    if (check.bad.size() > named) text += "  … and " + std::to_string(check.bad.size() - named) + " more (--json names all)\n";
  }
  return text;
}

}  // namespace retain::recipes
