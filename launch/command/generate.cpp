// SPDX-License-Identifier: Apache-2.0
// `retain generate`: answers to records, greedy or sampled, one {"id","text","ids"} line each, in order.
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
  std::vector<std::string> stops;
  models::GenerateOptions generate;
};

/// Where the first of `stops` begins in `text`; npos when none occurs.
std::size_t first_stop(const std::string& text, const std::vector<std::string>& stops) {
  std::size_t first = std::string::npos;
  for (const std::string& stop : stops) first = std::min(first, text.find(stop));
  return first;
}

/// The ids that are text: without the end-of-sequence token that closed them.
std::vector<std::int64_t> without_end(std::vector<std::int64_t> ids, const std::vector<std::int64_t>& ends) {
  if (!ids.empty() && std::find(ends.begin(), ends.end(), ids.back()) != ends.end()) ids.pop_back();
  return ids;
}

int generate(const Session& session, Options& options) {
  const OpenedModel opened(session, options.model);
  const auto records = framework::RecordSet::load(options.input, {.images = options.model.images});
  const auto pictures = opened.mesh.is_first_pipeline_stage() ? models::Pictures::pixels : models::Pictures::sizes;
  std::vector<models::Sample> prompts;
  for (std::int64_t i = 0; i < records.size(); ++i) prompts.push_back(opened.kit.builder().prompt_sample(records.at(i), pictures));
  const std::unique_ptr<models::Lmm> model = opened.load();
  const framework::Tokenizer& tokenizer = opened.kit.builder().tokenizer();
  if (!options.stops.empty())
    options.generate.enough = [&](const std::vector<std::int64_t>& ids) {
      return first_stop(tokenizer.decode(ids, true), options.stops) != std::string::npos;
    };
  const auto answers = models::generate(*model, prompts, options.generate);
  if (!session.is_root()) return 0;
  for (std::size_t i = 0; i < answers.size(); ++i) {
    const std::vector<std::int64_t> spoken =
        options.generate.ignore_eos ? answers[i] : without_end(answers[i], opened.kit.config().eos_tokens);
    std::string text = tokenizer.decode(spoken, true);
    text.resize(std::min(text.size(), first_stop(text, options.stops)));
    std::cout << json::serialize(json::object{{"id", prompts[i].id}, {"text", text}, {"ids", json::value_from(answers[i])}}) << '\n';
  }
  return 0;
}

}  // namespace

void add_generate(CLI::App& app, Action& action) {
  CLI::App* command = app.add_subcommand("generate", "Answer records: {\"id\",\"text\",\"ids\"} lines");
  auto options = std::make_shared<Options>();
  options->model.add_to(*command);
  command->add_option("--input", options->input, "LLaVA records; a last answer is left out of the prompt")->required();
  command->add_option("--max-new-tokens", options->generate.max_new_tokens, "Tokens at most")->check(CLI::PositiveNumber);
  command->add_option("--batch", options->generate.batch_size, "Records computed together")->check(CLI::PositiveNumber);
  command->add_flag("--ignore-eos", options->generate.ignore_eos, "Go on to --max-new-tokens");
  models::Sampling& sampling = options->generate.sampling;
  command->add_option("--temperature", sampling.temperature, "Sample at this temperature; 0 is greedy")->check(CLI::Range(0.0, 100.0));
  command->add_option("--top-k", sampling.top_k, "Sample from the K most likely tokens only")->check(CLI::NonNegativeNumber);
  command->add_option("--top-p", sampling.top_p, "and from the fewest whose probabilities reach P")->check(CLI::Range(0.0, 1.0));
  command->add_option("--seed", sampling.seed, "Of the draws; the mesh and --batch do not change them");
  command->add_option("--stop", options->stops, "End an answer where this text occurs; the text is cut before it")->allow_extra_args(false);
  command->callback([&action, options] { action = [options](const Session& session) { return generate(session, *options); }; });
}

}  // namespace retain::launch
