// SPDX-License-Identifier: Apache-2.0
#include "framework/report/budget.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>

namespace retain::framework {
namespace {

constexpr double kSameTokens = 0.01;
constexpr std::size_t kMostNames = 6;

struct Entry {
  const StudyBranch* branch;
  std::string mode;
};

/// Branches that got as far as any.
std::vector<Entry> finished(const std::vector<const Study*>& studies) {
  std::size_t most = 0;
  for (const Study* study : studies)
    for (const StudyBranch& branch : study->branches) most = std::max(most, branch.stages.size());
  std::vector<Entry> entries;
  for (const Study* study : studies)
    for (const StudyBranch& branch : study->branches)
      if (most > 0 && branch.stages.size() == most) entries.push_back({&branch, study->mode});
  return entries;
}

/// "16 (llm, mlp), 32 (sa_proj)".
template <typename Value>
std::string listed(const std::map<Value, std::set<std::string>>& groups, std::string (*text)(const Value&)) {
  std::string all;
  for (const auto& [value, names] : groups) {
    std::string some;
    std::size_t count = 0;
    for (const std::string& name : names)
      if (count++ < kMostNames) some += (some.empty() ? "" : ", ") + name;
    if (names.size() > kMostNames) some += " and " + std::to_string(names.size() - kMostNames) + " more";
    all += (all.empty() ? "" : ", ") + text(value) + " (" + some + ")";
  }
  return all;
}

std::string same(const std::string& text) { return text; }
std::string digits(const std::int64_t& number) { return std::to_string(number); }

}  // namespace

Budget with_stage(const Budget& branch, const Budget& stage) {
  if (branch.global_batch.empty()) return stage;
  const auto sum = [](std::int64_t a, std::int64_t b) { return a > 0 && b > 0 ? a + b : 0; };
  const std::string last = branch.global_batch.substr(branch.global_batch.rfind('/') + 1);  // npos + 1 is 0
  return {last == stage.global_batch ? branch.global_batch : branch.global_batch + "/" + stage.global_batch, sum(branch.steps, stage.steps),
          sum(branch.tokens, stage.tokens)};
}

std::vector<std::string> unequal_budgets(const std::vector<const Study*>& studies) {
  std::map<std::string, std::set<std::string>> modes, batches;
  std::map<std::int64_t, std::set<std::string>> steps, tokens;
  for (const Entry& entry : finished(studies)) {
    const StudyBranch& branch = *entry.branch;
    modes[entry.mode].insert(branch.label());
    if (!branch.budget.global_batch.empty()) batches[branch.budget.global_batch].insert(branch.label());
    if (branch.budget.steps > 0) steps[branch.budget.steps].insert(branch.label());
    if (branch.budget.tokens > 0) tokens[branch.budget.tokens].insert(branch.label());
  }
  std::vector<std::string> differences;
  if (modes.size() > 1) differences.push_back("modes differ: " + listed(modes, same));
  if (batches.size() > 1) differences.push_back("global batches differ: " + listed(batches, same));
  if (steps.size() > 1) differences.push_back("optimizer steps differ: " + listed(steps, digits));
  if (tokens.size() > 1) {
    const auto least = static_cast<double>(tokens.begin()->first), most = static_cast<double>(tokens.rbegin()->first);
    if (most - least >= kSameTokens * most) differences.push_back("tokens seen differ: " + listed(tokens, digits));
  }
  return differences;
}

}  // namespace retain::framework
