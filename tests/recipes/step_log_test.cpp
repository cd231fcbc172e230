// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <sstream>

#include "framework/base/json.h"
#include "recipes/step_log.h"

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

}  // namespace
}  // namespace retain::recipes
