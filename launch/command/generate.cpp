// SPDX-License-Identifier: Apache-2.0
// `retain generate`: greedy answers to records, one {"id","text","ids"} line each, in order.
#include <iostream>

#include "framework/base/json.h"
#include "framework/data/record_set.h"
#include "launch/command/model_options.h"
#include "models/generator.h"

namespace retain::launch {
namespace {

namespace json = framework::json;

struct Options {
  ModelOptions model;
  std::string input;
  models::GenerateOptions generate;
};

/// The ids that are text: without the end-of-sequence token that closed them.
std::vector<std::int64_t> without_end(std::vector<std::int64_t> ids, const std::vector<std::int64_t>& ends) {
  if (!ids.empty() && std::find(ends.begin(), ends.end(), ids.back()) != ends.end()) ids.pop_back();
  return ids;
}

int generate(const Session& session, const Options& options) {
  const OpenedModel opened(session, options.model);
  const auto records = framework::RecordSet::load(options.input, {.images = options.model.images});
  const auto pictures = opened.mesh.is_first_pipeline_stage() ? models::Pictures::pixels : models::Pictures::sizes;
  std::vector<models::Sample> prompts;
  for (std::int64_t i = 0; i < records.size(); ++i) prompts.push_back(opened.kit.builder().prompt_sample(records.at(i), pictures));
  const std::unique_ptr<models::Lmm> model = opened.load();
  const auto answers = models::generate(*model, prompts, options.generate);
  if (!session.is_root()) return 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const std::vector<std::int64_t> spoken =
        options.generate.ignore_eos ? answers[i] : without_end(answers[i], opened.kit.config().eos_tokens);
    std::cout << json::serialize(json::object{{"id", prompts[i].id}, {"text", opened.kit.builder().tokenizer().decode(spoken, true)},
                                              {"ids", json::value_from(answers[i])}})
              << '\n';
  }
  return 0;
}

}  // namespace

void add_generate(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("generate", "Answer records greedily: {\"id\",\"text\",\"ids\"} lines");
  auto options = std::make_shared<Options>();
  options->model.add_to(*command);
  command->add_option("--input", options->input, "LLaVA records; a last answer is left out of the prompt")->required();
  command->add_option("--max-new-tokens", options->generate.max_new_tokens, "Tokens at most")->check(CLI::PositiveNumber);
  command->add_option("--batch", options->generate.batch_size, "Records computed together")->check(CLI::PositiveNumber);
  command->add_flag("--ignore-eos", options->generate.ignore_eos, "Go on to --max-new-tokens");
  command->callback([&action, options] { action = [options](const Session& session) { return generate(session, *options); }; });
}

}  // namespace retain::launch
