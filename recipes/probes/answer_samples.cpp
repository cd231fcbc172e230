// SPDX-License-Identifier: Apache-2.0
#include "recipes/probes/answer_samples.h"

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
  json::array mine;
  answer_first_questions(input, max_new_tokens, [&](std::int64_t i, const std::vector<std::int64_t>& ids) {
    const framework::Record record = input.records.at(i);
    mine.push_back(json::object{{"id", record.id.empty() ? std::to_string(i) : record.id}, {"question", question_of(record)},
                                {"answer", input.builder.tokenizer().decode(ids, true)}});
  });
  json::array answers;
  for (const std::string& text : input.model.mesh().data().gather_text(json::serialize(mine))) {
    const json::value part = json::parse(text);
    for (const json::value& answer : part.as_array()) answers.push_back(answer);
  }
  return {{"answers", std::move(answers)}, {"samples", input.count()}};
}

}  // namespace retain::recipes
