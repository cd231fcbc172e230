// SPDX-License-Identifier: Apache-2.0
#include "recipes/probes/probe_set.h"

#include <utility>

#include "framework/store/results.h"
#include "framework/store/stage_reader.h"
#include "recipes/probes/answer_samples.h"
#include "recipes/probes/layer_delta.h"
#include "recipes/probes/number_tokens.h"
#include "recipes/probes/output_distance.h"
#include "recipes/probes/token_bias.h"
#include "recipes/probes/token_sets.h"
#include "recipes/settings/source_settings.h"
#include "recipes/training/base_beside.h"

namespace retain::recipes {
namespace {

namespace json = framework::json;

constexpr std::int64_t kTaskAnswerTokens = 32;  // that the base may say to a task's question

}  // namespace

ProbeSet::ProbeSet(const Experiment& experiment, const ModelKit& kit, PictureDigests& pictures) : experiment_(experiment), kit_(kit) {
  const framework::Tokenizer& tokenizer = kit.builder().tokenizer();
  for (const Probe& probe : experiment.probes) {
    const Task captions{.name = probe.name, .train = probe.data, .images = probe.images, .source = nullptr, .settings = experiment.train};
    Loaded loaded{probe, look_at(load_records(captions), kit, experiment, pictures)};
    if (probe.kind == ProbeKind::token_bias && probe.numbers) loaded.ids = number_tokens(tokenizer);
    if (!probe.tokens.empty()) loaded.ids = tokens_of_words(tokenizer, probe.tokens, probe.name);
    if (!probe.pattern.empty()) loaded.ids = tokens_of_pattern(tokenizer, probe.pattern, probe.name);
    for (const Task& task : experiment.tasks)
      if (task.name == probe.task) loaded.taught = look_at(load_records(task), kit, experiment, pictures);
    probes_.push_back(std::move(loaded));
  }
}

void ProbeSet::prepare(const std::string& base, StageModel& model, parallel::ShardedStore& store) {
  base_ = base;
  for (Loaded& loaded : probes_) {
    if (!loaded.taught) continue;
    const DataIdentity& data = loaded.taught->identity;
    const std::string key = framework::memo_key("tokens", json::object{
        {"base", base}, {"data", data.records}, {"pictures", data.pictures}, {"records", loaded.probe.task_records},
        {"count", loaded.probe.count}, {"mode", name_of(experiment_.mode)}, {"dtype", std::string(framework::name_of(experiment_.dtype))}});
    if (!store.get_result(key)) {
      models::Lmm& lmm = model.use(base);
      lmm.mesh().world().describe_activity("probe " + loaded.probe.name + ": what the base answers to task " + loaded.probe.task);
      const ProbeInput input{lmm,
                             *loaded.taught->records,
                             *loaded.taught->samples,
                             kit_.builder(),
                             loaded.probe.task_records,
                             experiment_.evaluation_batch};
      store.put_result(
          key, json::object{{"ids", json::value_from(tokens_of_task(input, loaded.probe.count, kTaskAnswerTokens,
                                                                    loaded.probe.name))}});
    }
    loaded.ids = json::value_to<std::vector<std::int64_t>>(store.get_result(key)->at("ids"));
  }
}

std::size_t ProbeSet::index_of(const std::string& name) const {
  for (std::size_t i = 0; i < probes_.size(); ++i)
    if (probes_[i].probe.name == name) return i;
  throw framework::Error(framework::ErrorKind::internal, "there is no probe " + name);
}

json::object ProbeSet::describe(std::size_t i) const {
  const Loaded& loaded = probes_.at(i);
  json::object inputs = recipes::describe(loaded.probe);
  inputs["data"] = loaded.captions.identity.records;
  inputs["pictures"] = loaded.captions.identity.pictures;
  inputs["mode"] = name_of(experiment_.mode);
  inputs["dtype"] = std::string(framework::name_of(experiment_.dtype));
  if (loaded.taught) inputs["ids"] = json::value_from(loaded.ids);
  if (loaded.probe.compares()) inputs["base"] = base_;
  if (loaded.probe.kind == ProbeKind::layer_delta && experiment_.mode == Mode::clean)
    inputs["positions"] = "supervised";  // a reading kept without this is of the positions before
  return inputs;
}

std::string ProbeSet::key_of(std::size_t i, const json::object& inputs) const {
  return framework::memo_key("probe", json::object{{"probe", describe(i)}, {"of", inputs}});
}

std::optional<KeptReading> ProbeSet::find(std::size_t i, const json::object& inputs, parallel::ShardedStore& store) const {
  KeptReading kept{key_of(i, inputs), std::nullopt};
  const auto known = store.get_result(kept.key);
  if (!known) return std::nullopt;
  if (const json::value* value = known->as_object().if_contains("value")) kept.value = value->to_number<double>();
  return kept;
}

KeptReading ProbeSet::read(std::size_t i, const Probed& probed, parallel::ShardedStore& store) const {
  if (auto kept = find(i, probed.inputs, store)) return *kept;
  json::object result = look(probes_.at(i), probed, store);
  result["kind"] = recipes::describe(probe(i)).at("kind");
  if (probe(i).numbers) result["vocabulary"] = "numbers";
  store.put_result(key_of(i, probed.inputs), result);
  return find(i, probed.inputs, store).value();  // to the last digit what a later run reads
}

json::object ProbeSet::look(const Loaded& loaded, const Probed& probed, parallel::ShardedStore& store) const {
  const Probe& probe = loaded.probe;
  models::Lmm& model = probed.model();
  model.mesh().world().describe_activity("probe " + probe.name + " on " + probed.what);
  ProbeInput input{model, *loaded.captions.records, *loaded.captions.samples, kit_.builder(), probe.limit, experiment_.evaluation_batch,
                   experiment_.mode == Mode::faithful};
  input.base = [&] {
    store.settle(probed.began);
    const framework::StageReader base(store.store(), base_), began(store.store(), probed.began);
    return base_beside(model, kit_, base, began, probed.changed);
  };
  switch (probe.kind) {
    case ProbeKind::token_bias: return token_bias(input, {loaded.ids, probe.generated, probe.max_new_tokens});
    case ProbeKind::output_distance: return output_distance(input);
    case ProbeKind::layer_delta: return layer_delta(input);
    case ProbeKind::samples: return answer_samples(input, probe.max_new_tokens);
  }
  return {};
}

}  // namespace retain::recipes
