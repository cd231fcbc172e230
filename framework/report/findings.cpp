// SPDX-License-Identifier: Apache-2.0
#include "framework/report/findings.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "framework/report/drift.h"
#include "framework/report/probe_figures.h"

namespace retain::framework {
namespace {

constexpr const char* kPoints = "points";
const std::vector<std::string> kCounting{"count", "countbench"};
const std::vector<std::string> kMethods{"lwf", "lora", "moe", "wise_ft"};

/// Findings of one claim; a line that says so when there are none.
class Claim {
 public:
  Claim(std::vector<Finding>& all, std::string text, bool expect_above) : all_(all), text_(std::move(text)), above_(expect_above) {}
  Claim(const Claim&) = delete;
  Claim& operator=(const Claim&) = delete;
  ~Claim() noexcept(false) {
    if (!found_) all_.push_back({text_, "", without_interval(std::numeric_limits<double>::quiet_NaN()), "", Verdict::unmeasured});
  }
  void add(const std::string& where, const Interval& figure, const std::string& unit) {
    if (std::isnan(figure.estimate)) return;
    all_.push_back({text_, where, figure, unit, verdict_of(figure, above_)});
    found_ = true;
  }

 private:
  std::vector<Finding>& all_;
  std::string text_;
  bool above_;
  bool found_ = false;
};

/// The recipe of that name, or a reading of it: "moe (top1)".
bool is(const PooledRecipe& recipe, const std::string& name) { return recipe.recipe == name || recipe.recipe.starts_with(name + " ("); }

struct Expectation {
  std::string claim;
  bool above;
};

class Search {
 public:
  Search(const Report& report, const std::vector<PooledRecipe>& pooled) : report_(report), pooled_(pooled) {}

  void add_recipe(const std::string& recipe, const Expectation& expected, Interval PooledRecipe::*figure) {
    Claim claim(all, expected.claim, expected.above);
    for (const PooledRecipe& pooled : pooled_)
      if (is(pooled, recipe)) claim.add(pooled.name, pooled.*figure, kPoints);
  }
  void add_pair(const std::string& first, const std::string& second, const Expectation& expected, Interval PooledPair::*figure) {
    Claim claim(all, expected.claim, expected.above);
    for_pairs(first, second, [&](const PooledPair& pair) { claim.add(pair.name, pair.*figure, kPoints); });
  }
  void add_probe_pair(const std::string& first, const std::string& second, const Expectation& expected) {
    Claim claim(all, expected.claim, expected.above);
    for_pairs(first, second, [&](const PooledPair& pair) {
      for (const auto& [probe, figure] : pair.probes)
        if (std::any_of(report_.sources.begin(), report_.sources.end(),
                        [&](const StudySource& source) { return is_number_bias(source, probe); }))
          claim.add(pair.name + ", " + probe, figure, kPoints + std::string(" of probability"));
    });
  }
  void add_counting(const std::string& recipe, const Expectation& expected) {
    Claim claim(all, expected.claim, expected.above);
    for (const PooledRecipe& pooled : pooled_)
      if (is(pooled, recipe)) claim.add(pooled.name, pool_stage_cost(report_, pooled, kCounting), kPoints);
  }
  void add_drift(const Expectation& expected, Interval Drift::*figure) {
    Claim claim(all, expected.claim, expected.above);
    for (const Drift& drift : report_.drifts)
      if (is_number_bias(report_.sources[drift.source], drift.probe))
        claim.add(drift.probe + ", " + units_of(drift) +
                      (report_.sources.size() > 1 ? " @ " + report_.sources[drift.source].label : ""),
                  drift.*figure, "Spearman ρ");
  }

  std::vector<Finding> all;

 private:
  template <class Use>
  void for_pairs(const std::string& first, const std::string& second, const Use& use) const {
    for (const PooledRecipe& a : pooled_)
      for (const PooledRecipe& b : pooled_)
        if (is(a, first) && is(b, second) && a.source == b.source) use(pool_pair(report_, a, b));
  }

  const Report& report_;
  const std::vector<PooledRecipe>& pooled_;
};

void add_narrow(Search& search, const std::string& recipe, const std::string& what) {
  search.add_recipe(recipe, {"Tuning only " + what + " (" + recipe + ") learns the targets", true}, &PooledRecipe::learning);
  search.add_pair(recipe, "llm", {recipe + " loses fewer held-out skills than the whole language model", true}, &PooledPair::held_out);
  search.add_pair(recipe, "llm", {recipe + " learns somewhat less than the whole language model", false}, &PooledPair::learning);
  search.add_probe_pair(
      recipe, "llm",
      {"Under " + recipe + " number tokens grow likelier by less than under the whole language model", false});
}

}  // namespace

std::string name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::appears: return "appears";
    case Verdict::contradicted: return "does not appear: the opposite does";
    case Verdict::open: return "cannot be told: no interval, or one that holds zero";
    case Verdict::unmeasured: break;
  }
  return "not measured";
}

Verdict verdict_of(const Interval& figure, bool expect_above) {
  if (!figure.known()) return std::isnan(figure.estimate) ? Verdict::unmeasured : Verdict::open;
  if (figure.above(0)) return expect_above ? Verdict::appears : Verdict::contradicted;
  if (figure.below(0)) return expect_above ? Verdict::contradicted : Verdict::appears;
  return Verdict::open;
}

std::vector<Finding> find_findings(const Report& report, const std::vector<PooledRecipe>& pooled) {
  Search search(report, pooled);
  search.add_recipe("llm", {"Tuning the whole language model learns the targets", true}, &PooledRecipe::learning);
  search.add_recipe("llm", {"Tuning the whole language model loses held-out skills", false}, &PooledRecipe::held_out);
  search.add_counting("llm", {"Learning to count costs more held-out skill than the other stages", false});
  search.add_recipe("llm", {"Part of the loss comes back in later stages (last stage against the lowest)", true}, &PooledRecipe::rebound);
  add_narrow(search, "sa_proj", "the self-attention projections");
  add_narrow(search, "mlp_gate_up", "the MLPs' gate and up projections");
  search.add_pair("mlp_gate_up", "sa_proj", {"Of the two, mlp_gate_up learns more", true}, &PooledPair::learning);
  search.add_pair("sa_proj", "mlp_gate_up", {"Of the two, sa_proj loses fewer held-out skills", true}, &PooledPair::held_out);
  for (const std::string& method : kMethods)
    for (const char* recipe : {"sa_proj", "mlp_gate_up"})
      search.add_pair(
          recipe, method,
          {std::string(recipe) + " does better than " + method + " (learning and held-out change together)", true},
          &PooledPair::balance);
  search.add_drift({"Forgetting follows number-token bias: stages with more of it have lost more", false}, &Drift::spearman);
  search.add_drift({"Stage by stage: where number-token bias rises, held-out skills fall", false}, &Drift::steps);
  return std::move(search.all);
}

}  // namespace retain::framework
