// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "framework/base/json.h"
#include "recipes/training/step_log.h"
#include "tests/support/scratch.h"

namespace retain::recipes {
namespace {

TEST(StepLog, ResumingDropsLinesPastTheDurableStepOnly) {
  const std::filesystem::path file = std::filesystem::path(testing::TempDir()) / "step_log_test.jsonl";
  std::filesystem::remove(file);
  {
    StepLog log(file);
    log.begin_stage("llm", "a", 0);
    for (std::int64_t step = 0; step < 3; ++step) log.append({step, 1.0, 2.0, 1e-3, 10, 0.1});
    log.begin_stage("llm", "b", 0);
    for (std::int64_t step = 0; step < 3; ++step) log.append({step, 0.5, 2.0, 1e-3, 10, 0.1});
  }
  std::ofstream(file, std::ios::app) << "{\"recipe\":\"llm\",\"ta";  // torn by a kill
  StepLog log(file);
  log.begin_stage("llm", "b", 1);
  log.append({1, 0.25, 2.0, 1e-3, 10, 0.1});
  std::istringstream lines(framework::read_file(file));
  std::string seen;
  for (std::string line; std::getline(lines, line);) {
    const auto value = framework::json::parse(line);
    seen += std::string(value.at("task").as_string()) + std::to_string(value.at("step").as_int64()) + " ";
  }
  EXPECT_EQ(seen, "a0 a1 a2 b0 b1 ");
  std::filesystem::remove(file);
}

TEST(StepLog, GroupsOfARunWriteOneFileInTurns) {
  const tests::Scratch scratch;
  const framework::Store store = framework::Store::open_or_create(scratch / "store");
  framework::StoreLock first(store, "test");
  first.admit();
  const framework::StoreLock second = framework::StoreLock::join(store, 1);
  const auto teach = [&](const framework::StoreLock& lock, const std::string& recipe) {
    StepLog log(scratch / "log.jsonl", &lock);
    for (const char* task : {"a", "b", "c", "d"}) {
      log.begin_stage(recipe, task, 0);
      for (std::int64_t step = 0; step < 20; ++step) log.append({step, 1.0, 2.0, 1e-3, 10, 0.1});
    }
  };
  std::jthread other([&] { teach(second, "mlp"); });
  teach(first, "llm");
  other.join();
  std::map<std::string, std::int64_t> next;
  std::istringstream lines(framework::read_file(scratch / "log.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const auto value = framework::json::parse(line);
    EXPECT_EQ(value.at("step").as_int64(), next[std::string(value.at("recipe").as_string()) + "/" + std::string(value.at("task").as_string())]++);
  }
  EXPECT_EQ(next.size(), 8U);
  for (const auto& [stage, steps] : next) EXPECT_EQ(steps, 20) << stage;
}

}  // namespace
}  // namespace retain::recipes
