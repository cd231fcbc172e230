// SPDX-License-Identifier: Apache-2.0
// make_world: writes the tiny world into a folder. The same seed gives the same bytes everywhere.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <filesystem>

#include "examples/tiny/world/model_files.h"
#include "examples/tiny/world/sets.h"
#include "examples/tiny/world/writer.h"

namespace {

using namespace retain::tiny;
namespace json = retain::framework::json;

struct Options {
  std::filesystem::path out;
  std::filesystem::path digits;
  std::uint64_t seed = 0;
  bool pretraining = false;
  bool study = false;
  Sizes sizes;
};

void write_world(const Options& options) {
  const std::vector<Digit> digits = read_digits(options.digits);
  write_model_files(options.out / "model", world_tokenizer(digits));
  std::vector<RecordSetPlan> plans = skill_sets(options.sizes, digits);
  for (RecordSetPlan& plan : test_sets(options.sizes, digits)) plans.push_back(std::move(plan));
  if (options.pretraining) {
    for (RecordSetPlan& plan : pretraining_sets(options.sizes)) plans.push_back(std::move(plan));
  }
  if (options.study) {
    for (RecordSetPlan& plan : study_sets(options.sizes)) plans.push_back(std::move(plan));
  }
  for (const RecordSetPlan& plan : plans) {
    std::fprintf(stderr, "%-18s %6lld records\n", plan.name.c_str(), static_cast<long long>(plan.count));
    write_set(options.out, plan, options.seed);
  }
  json::object levels;
  for (const auto& [name, level] : question_blind_levels(options.sizes, options.seed)) levels[name] = level;
  write_text(options.out / "test" / "question_blind.json", retain::framework::pretty(levels));
}

}  // namespace

int main(int count, char** words) {
  CLI::App app("Draws the tiny world: pictures, LLaVA-format records, tokenizer and configuration.");
  Options options;
  app.add_option("--out", options.out, "folder to write into")->required();
  app.add_option("--digits", options.digits, "examples/tiny/digits.txt")->required();
  app.add_option("--seed", options.seed, "seed of every picture and question");
  app.add_flag("--pretraining", options.pretraining, "also write the files that the base is trained on");
  app.add_flag("--study", options.study, "also write the skills that only the study teaches");
  app.add_option("--sight", options.sizes.sight, "pretraining pictures of one look, or with listed objects");
  app.add_option("--questions", options.sizes.questions, "pretraining pictures with questions");
  app.add_option("--skill", options.sizes.skill, "training records of each new skill");
  app.add_option("--test", options.sizes.test, "records of each benchmark");
  CLI11_PARSE(app, count, words);
  try {
    write_world(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "make_world: %s\n", error.what());
    return 1;
  }
  return 0;
}
