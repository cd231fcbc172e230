// SPDX-License-Identifier: Apache-2.0
#include "recipes/evaluator.h"

#include "framework/metrics/registry.h"
#include "models/generator.h"

namespace retain::recipes {
namespace {

using framework::Error;
using framework::ErrorKind;
namespace json = framework::json;

std::vector<std::string> texts_of(const json::object& line, const char* key, const std::string& where) {
  const json::value* value = line.if_contains(key);
  if (!value) return {};
  std::vector<std::string> texts;
  const json::array* array = value->if_array();
  for (std::size_t i = 0; array && i < array->size(); ++i)
    if ((*array)[i].is_string()) texts.emplace_back((*array)[i].as_string().c_str());
  if (!array || texts.size() != array->size())
    throw Error(ErrorKind::data_invalid, {where, std::string("\"") + key + "\": an array of strings", json::serialize(*value), "correct the line"});
  return texts;
}

/// Answers of the questions [from, to) that this replica answers, one JSON text.
std::string answer_share(models::Lmm& model, const models::SampleBuilder& builder, const Benchmark& benchmark,
                         const std::vector<Question>& questions, parallel::Range share, std::int64_t batch) {
  const auto pictures = model.mesh().is_first_pipeline_stage() ? models::Pictures::pixels : models::Pictures::sizes;
  json::array texts;
  for (std::int64_t first = share.begin; first < share.end; first += batch) {
    std::vector<models::Sample> prompts;
    for (std::int64_t i = first; i < std::min(first + batch, share.end); ++i)
      prompts.push_back(builder.prompt_sample(questions[static_cast<std::size_t>(i)].record, pictures));
    models::GenerateOptions options;
    options.max_new_tokens = benchmark.max_new_tokens;
    options.batch_size = batch;
    for (const std::vector<std::int64_t>& ids : models::generate(model, prompts, options))
      texts.emplace_back(builder.tokenizer().decode(ids, true));
  }
  return json::serialize(texts);
}

}  // namespace

std::vector<Question> read_questions(const Benchmark& benchmark) {
  const framework::RecordSet records = framework::RecordSet::load(benchmark.data, {.images = benchmark.images});
  const std::int64_t count = benchmark.limit > 0 ? std::min(benchmark.limit, records.size()) : records.size();
  std::vector<Question> questions;
  for (std::int64_t i = 0; i < count; ++i) {
    Question question{records.at(i), {}};
    const json::object line = records.json_at(i).as_object();
    question.expected.references = texts_of(line, "references", question.record.where());
    question.expected.options = texts_of(line, "options", question.record.where());
    const bool answered = !question.record.turns.empty() && question.record.turns.back().role == framework::Role::assistant;
    if (question.expected.references.empty() && answered) question.expected.references = {question.record.turns.back().text};
    framework::validate_record(question.record, question.expected.references.empty());
    if (benchmark.metric == "mcq" && question.expected.options.empty())
      throw Error(ErrorKind::data_invalid, {question.record.where(), "\"options\": the answer options", "none", "the metric mcq needs them"});
    questions.push_back(std::move(question));
  }
  return questions;
}

json::value to_json(const Evaluation& evaluation) {
  json::array answers;
  for (const Answer& answer : evaluation.answers)
    answers.push_back(json::object{{"id", answer.id}, {"prediction", answer.prediction},
                                   {"references", json::value_from(answer.references)}, {"score", answer.score}});
  return json::object{{"score", evaluation.score}, {"answers", std::move(answers)}};
}

Evaluation evaluation_from_json(const json::value& value) {
  Evaluation evaluation{value.at("score").to_number<double>(), {}};
  for (const json::value& item : value.at("answers").as_array())
    evaluation.answers.push_back({std::string(item.at("id").as_string()), std::string(item.at("prediction").as_string()),
                                  json::value_to<std::vector<std::string>>(item.at("references")), item.at("score").to_number<double>()});
  return evaluation;
}

Evaluation evaluate(models::Lmm& model, const models::SampleBuilder& builder, const Benchmark& benchmark,
                    const std::vector<Question>& questions, std::int64_t batch) {
  const parallel::Mesh& mesh = model.mesh();
  const auto count = static_cast<std::int64_t>(questions.size());
  const parallel::Range share = parallel::even_share(count, mesh.shape().data, mesh.position().data);
  const std::string mine = answer_share(model, builder, benchmark, questions, share, batch);
  const framework::Metric metric = framework::metric_named(benchmark.metric);
  Evaluation evaluation;
  for (const std::string& texts : mesh.data().gather_text(mine)) {
    const json::value share_texts = json::parse(texts);
    for (const json::value& text : share_texts.as_array()) {
      const Question& question = questions.at(evaluation.answers.size());
      framework::ScoreInput input = question.expected;
      input.prediction = std::string(text.as_string());
      const double score = metric(input);
      evaluation.score += score / static_cast<double>(count);
      evaluation.answers.push_back({question.record.id, input.prediction, input.references, score});
    }
  }
  return evaluation;
}

}  // namespace retain::recipes
