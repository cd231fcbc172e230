// SPDX-License-Identifier: Apache-2.0
#include "recipes/evaluation/evaluator.h"

#include "models/generator.h"
#include "recipes/settings/source_settings.h"

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
    if ((*array)[i].is_string()) texts.emplace_back((*array)[i].as_string());
  if (!array || texts.size() != array->size())
    throw Error(ErrorKind::data_invalid, {where, std::string("\"") + key + "\": an array of strings",
                                          json::serialize(*value), "correct the line"});
  return texts;
}

std::string text_of(const json::object& line, const char* key, const std::string& where) {
  const json::value* value = line.if_contains(key);
  if (!value || value->is_null()) return {};
  if (!value->is_string())
    throw Error(ErrorKind::data_invalid, {where, std::string("\"") + key + "\": a string", json::serialize(*value), "correct the line"});
  return std::string(value->as_string());
}

/// This replica's share of the questions.
parallel::Range share_of(const models::Lmm& model, std::size_t questions, int replica) {
  return parallel::even_share(static_cast<std::int64_t>(questions), model.mesh().shape().data, replica);
}

/// Answers of the questions that this replica answers, one JSON text.
std::string answer_share(models::Lmm& model, const models::SampleBuilder& builder, const Benchmark& benchmark,
                         const std::vector<Question>& questions, std::int64_t batch, const std::function<void()>& before_batch) {
  const parallel::Range share = share_of(model, questions.size(), model.mesh().position().data);
  const std::int64_t batches = (share_of(model, questions.size(), 0).size() + batch - 1) / batch;  // the first replica has most
  const auto pictures = model.mesh().is_first_pipeline_stage() ? models::Pictures::pixels : models::Pictures::sizes;
  json::array texts;
  for (std::int64_t done = 0; done < batches; ++done) {
    if (before_batch) before_batch();
    const std::int64_t first = share.begin + done * batch;
    if (first >= share.end) continue;
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

Question read_question(const framework::RecordSet& records, std::int64_t i, const Benchmark& benchmark) {
  Question question{records.at(i), {}};
  const json::value value = records.json_at(i);
  const json::object& line = value.as_object();
  const std::string where = question.record.where();
  question.expected.references = texts_of(line, "references", where);
  question.expected.options = texts_of(line, "options", where);
  question.expected.question = text_of(line, "question", where);
  question.expected.category = text_of(line, "category", where);
  const bool answered = !question.record.turns.empty() && question.record.turns.back().role == framework::Role::assistant;
  if (question.expected.references.empty() && answered) question.expected.references = {question.record.turns.back().text};
  framework::validate_record(question.record, question.expected.references.empty());
  const bool needs_options = benchmark.scoring.metric == "mcq" && benchmark.scoring.mode == framework::ScoringMode::clean;
  if (needs_options && question.expected.options.empty())
    throw Error(ErrorKind::data_invalid, {where, "\"options\": the answer options", "none", "the metric mcq needs them"});
  return question;
}

std::vector<Question> read_questions(const Benchmark& benchmark) {
  const framework::RecordSet records = load_records(benchmark);
  const std::int64_t count = benchmark.limit > 0 ? std::min(benchmark.limit, records.size()) : records.size();
  std::vector<Question> questions;
  for (std::int64_t i = 0; i < count; ++i) questions.push_back(read_question(records, i, benchmark));
  return questions;
}

Evaluation evaluate(models::Lmm& model, const models::SampleBuilder& builder, const Benchmark& benchmark,
                    const std::vector<Question>& questions, std::int64_t batch, const std::function<void()>& before_batch) {
  const std::string mine = answer_share(model, builder, benchmark, questions, batch, before_batch);
  Evaluation evaluation;
  evaluation.benchmark = benchmark.name;
  for (const std::string& texts : model.mesh().data().gather_text(mine)) {
    const json::value share_texts = json::parse(texts);
    for (const json::value& text : share_texts.as_array()) {
      const Question& question = questions.at(evaluation.answers.size());
      evaluation.answers.push_back({question.record.id, question.expected, 0});
      evaluation.answers.back().input.prediction = std::string(text.as_string());
    }
  }
  score_answers(evaluation, benchmark.scoring);
  return evaluation;
}

}  // namespace retain::recipes
