// SPDX-License-Identifier: Apache-2.0
// Every file of examples/benchmarks against rows in the columns its data set has (tests/reference/make_benchmark_files.py): prompts
// and scores in both modes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "framework/base/json.h"
#include "framework/data/row_table.h"
#include "recipes/evaluation/evaluator.h"
#include "recipes/settings/source_settings.h"
#include "tests/support/scratch.h"

namespace retain::recipes {
namespace {

namespace fs = std::filesystem;
namespace json = framework::json;
using framework::Error;
using framework::ErrorKind;
using testing::HasSubstr;

const fs::path kExamples = fs::path(RETAIN_SOURCE) / "examples";
const fs::path kRows = fs::path(RETAIN_FIXTURES) / "benchmarks";

class BenchmarkFiles : public testing::Test {
 protected:
  void SetUp() override {
    if (!framework::has_parquet()) GTEST_SKIP() << "built without Arrow";
  }
  Experiment read(const std::string& text) const {
    std::ofstream(scratch_ / "e.toml") << text;
    return read_experiment(scratch_ / "e.toml", {});
  }
  Benchmark named(const std::string& name, const std::string& mode) const {
    return read("[model]\nmode = \"" + mode + "\"\n[[benchmark]]\nfile = \"" + (kExamples / "benchmarks" / (name + ".toml")).string() +
                "\"\ndata = \"" + (kRows / (name + ".parquet")).string() + "\"\n")
        .benchmarks.at(0);
  }
  Error fault(const std::string& text) const {
    try {
      for (const Benchmark& benchmark : read(text).benchmarks) read_questions(benchmark);
    } catch (const Error& error) {
      return error;
    }
    return Error(ErrorKind::internal, "no fault");
  }
  tests::Scratch scratch_;
};

void expect_as_described(const Benchmark& benchmark, const json::object& expected, const std::string& prefix) {
  const std::vector<Question> questions = read_questions(benchmark);
  ASSERT_EQ(questions.size(), 3U);
  Evaluation evaluation;
  evaluation.benchmark = benchmark.name;
  for (std::size_t i = 0; i < 3; ++i) {
    const framework::Record& record = questions[i].record;
    std::string prompt;
    for (std::size_t picture = 0; picture < record.images.size(); ++picture) prompt += picture == 0 ? "<image>" : " <image>";
    prompt += "\n" + std::string(expected.at(prefix + "prompts").as_array()[i].as_string());
    EXPECT_EQ(record.turns.at(0).text, prompt);
    for (const framework::Picture& picture : record.images) EXPECT_EQ(framework::load_image(picture).width, 6);
    evaluation.answers.push_back({record.id, questions[i].expected, 0});
    evaluation.answers.back().input.prediction = expected.at("predictions").as_array()[i].as_string();
  }
  score_answers(evaluation, benchmark.scoring);
  for (std::size_t i = 0; i < 3; ++i)
    EXPECT_NEAR(evaluation.answers[i].score, expected.at(prefix + "scores").as_array()[i].to_number<double>(), 1e-9) << "answer " << i;
  if (prefix.empty()) {
    EXPECT_NEAR(evaluation.score, expected.at("score").to_number<double>(), 1e-9);
  }
  EXPECT_EQ(benchmark.max_new_tokens, expected.at("max_new_tokens").as_int64());
}

TEST_F(BenchmarkFiles, PromptAndScoreAsDescribedInBothModes) {
  const json::value document = framework::read_json(kRows / "expected.json");
  std::set<std::string> described;
  for (const auto& item : document.as_object()) {
    const std::string name(item.key());
    SCOPED_TRACE(name);
    described.insert(name + ".toml");
    expect_as_described(named(name, "clean"), item.value().as_object(), "");
    expect_as_described(named(name, "faithful"), item.value().as_object(), "faithful_");
  }
  std::set<std::string> there;
  for (const auto& entry : fs::directory_iterator(kExamples / "benchmarks"))
    if (entry.path().extension() == ".toml") there.insert(entry.path().filename());
  EXPECT_EQ(there, described);
  EXPECT_EQ(there.size(), 17U);
}

TEST_F(BenchmarkFiles, ReferencesAreKeptWhole) {
  std::ofstream(scratch_ / "records.jsonl") << R"({"id": "q", "conversations": [{"from": "human", "value": "What?"}, {"from": "gpt", "value": "ab"}], )"
                                            << R"("references": ["ab\u0000c", "d"]})" << "\n";
  const Experiment e = read("[[benchmark]]\nname = \"b\"\ndata = \"" + (scratch_ / "records.jsonl").string() + "\"\n");
  EXPECT_THAT(read_questions(e.benchmarks.at(0)).at(0).expected.references, testing::ElementsAre(std::string("ab\0c", 4), "d"));
}

TEST_F(BenchmarkFiles, CategoriesAreReported) {
  Evaluation evaluation;
  for (const Question& question : read_questions(named("seedbench", "clean"))) evaluation.answers.push_back({"", question.expected, 0});
  for (Answer& answer : evaluation.answers) answer.input.prediction = "A";
  score_answers(evaluation, {"first_character"});
  ASSERT_EQ(evaluation.categories.size(), 2U);
  EXPECT_EQ(evaluation.categories[0].category, "image");
  EXPECT_DOUBLE_EQ(evaluation.categories[0].score, 0.5);
  EXPECT_EQ(evaluation.categories[1].category, "video");
}

TEST_F(BenchmarkFiles, TasksReadTheSameColumns) {
  for (const char* name : {"pathvqa", "textvqa"}) {
    const Experiment e = read("[[task]]\nfile = \"" + (kExamples / "tasks" / (std::string(name) + ".toml")).string() + "\"\ntrain = \"" +
                              (kRows / (std::string(name) + ".parquet")).string() + "\"\n");
    const framework::RecordSet records = load_records(e.tasks.at(0));
    ASSERT_EQ(records.size(), 3);
    EXPECT_EQ(records.at(1).turns.at(1).text, std::string(name) == "textvqa" ? "dell" : "fibrous tissue");
    EXPECT_EQ(records.at(1).turns.at(0).text, std::string(name) == "textvqa" ? "<image>\nWhich brand, IBM?" : "<image>\nWhat is shown?");
  }
  for (const char* name : {"cub200", "pixmocount", "timeclock"}) {
    const Experiment e = read("[data]\nroot = \"/data\"\n[[task]]\nfile = \"" + (kExamples / "tasks" / (std::string(name) + ".toml")).string() + "\"\n");
    EXPECT_EQ(e.tasks.at(0).train, fs::path("/data") / name / "train.json");
  }
}

TEST_F(BenchmarkFiles, WrongInputsNameWhatIsWrong) {
  const std::string file = "file = \"" + (kExamples / "benchmarks/textvqa.toml").string() + "\"\n";
  const std::string inlined = "[[benchmark]]\nname = \"b\"\ndata = \"" + (kRows / "ai2d.parquet").string() + "\"\n";
  EXPECT_EQ(fault(inlined + "source = {options = \"options\", answer_form = \"index\"}").kind(), ErrorKind::internal);
  const auto refused = [&](const std::string& text, ErrorKind kind, const std::string& says) {
    const Error error = fault(text);
    EXPECT_EQ(framework::name_of(error.kind()), framework::name_of(kind)) << text;
    EXPECT_THAT(error.what(), HasSubstr(says)) << text;
  };
  refused(inlined + "metric = \"exact_mach\"\n", ErrorKind::config_invalid, "exact_match");
  refused(inlined + "average = \"median\"\n", ErrorKind::config_invalid, "samples, categories");
  refused(inlined + "source = {answr = \"x\"}", ErrorKind::config_invalid, "answr");
  refused(inlined + "source = {prompt = \"{question\"}", ErrorKind::config_invalid, "source.prompt");
  refused(inlined + "source = {answer_form = \"index\"}", ErrorKind::config_invalid, "options");
  refused(inlined + "source = {answer_form = \"number\"}", ErrorKind::config_invalid, "letter");
  refused(inlined + "source = {answer = \"anser\"}", ErrorKind::data_invalid, "did you mean \"answer\"?");
  refused(inlined + "source = {where = {answer = \"7\"}}", ErrorKind::data_empty, "where");
  refused(inlined, ErrorKind::data_invalid, "[source]");
  refused("[[benchmark]]\nname = \"b\"\n", ErrorKind::config_invalid, "data");
  refused("[[benchmark]]\n" + file + "data = \"" + (scratch_ / "none-*.parquet").string() + "\"\n", ErrorKind::io, "none-*");
  std::ofstream(scratch_ / "empty.jsonl");
  refused("[[benchmark]]\nname = \"b\"\ndata = \"empty.jsonl\"\n", ErrorKind::data_empty, "empty.jsonl");
  std::ofstream(scratch_ / "wrong.toml") << "[benchmark]\nname = \"b\"\ndata = \"x.jsonl\"\nmetrik = \"count\"\n";
  refused("[[benchmark]]\nfile = \"wrong.toml\"\n", ErrorKind::config_invalid, "metrik");
}

}  // namespace
}  // namespace retain::recipes
