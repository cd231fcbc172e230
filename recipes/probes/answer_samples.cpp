// SPDX-License-Identifier: Apache-2.0
#include "recipes/probes/answer_samples.h"

#include <algorithm>

#include "models/generator.h"

namespace retain::recipes {
namespace {

namespace json = framework::json;

std::string question_of(const framework::Record& record) {
  for (const framework::Turn& turn : record.turns)
    if (turn.role == framework::Role::user) return turn.text;
  return {};
}

}  // namespace

json::object answer_samples(const ProbeInput& input, std::int64_t max_new_tokens) {
  const parallel::Range share = input.share();
  json::array mine;
  for (std::int64_t first = share.begin; first < share.end; first += input.batch) {
    std::vector<models::Sample> questions;
    for (std::int64_t i = first; i < std::min(first + input.batch, share.end); ++i) questions.push_back(first_question(input, i));
    models::GenerateOptions options;
    options.max_new_tokens = max_new_tokens;
    options.batch_size = input.batch;
    std::int64_t i = first;
    for (const std::vector<std::int64_t>& ids : models::generate(input.model, questions, options)) {
      const framework::Record record = input.records.at(i);
      mine.push_back(json::object{{"id", record.id.empty() ? std::to_string(i) : record.id}, {"question", question_of(record)},
                                  {"answer", input.builder.tokenizer().decode(ids, true)}});
      ++i;
    }
  }
  json::array answers;
  for (const std::string& text : input.model.mesh().data().gather_text(json::serialize(mine))) {
    const json::value part = json::parse(text);
    for (const json::value& answer : part.as_array()) answers.push_back(answer);
  }
  return {{"answers", std::move(answers)}, {"samples", input.count()}};
}

}  // namespace retain::recipes
