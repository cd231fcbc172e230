// SPDX-License-Identifier: Apache-2.0
#include "framework/report/findings.h"

#include <cmath>
#include <limits>

namespace retain::framework {
namespace {

constexpr const char* kPoints = "points";

/// Findings of one claim; a line that says so when there are none.
class Claim {
 public:
  Claim(std::vector<Finding>& all, std::string text, bool expect_above) : all_(all), text_(std::move(text)), above_(expect_above) {}
  void add(const std::string& where, const Interval& figure, const std::string& unit) {
    all_.push_back({text_, where, figure, unit, verdict_of(figure, above_)});
    found_ = true;
  }
  void close() const {
    if (!found_) all_.push_back({text_, "", without_interval(std::numeric_limits<double>::quiet_NaN()), "", Verdict::unmeasured});
  }

 private:
  std::vector<Finding>& all_;
  std::string text_;
  bool above_;
  bool found_ = false;
};

const std::string& recipe_of(const Report& report, std::size_t branch) { return report.branch_of(report.branches[branch]).recipe; }

Interval negated(const Interval& interval) { return {-interval.estimate, -interval.high, -interval.low}; }

/// In each pair of the two recipes: `figure` as recipe − other.
void add_pairs(Claim& claim, const Report& report, const std::string& recipe, const std::string& other, Interval RecipePair::*figure) {
  for (const RecipePair& pair : report.pairs) {
    const bool forward = recipe_of(report, pair.second) == recipe && recipe_of(report, pair.first) == other;
    const bool backward = recipe_of(report, pair.first) == recipe && recipe_of(report, pair.second) == other;
    if (!forward && !backward) continue;
    const std::string where = report.branches[forward ? pair.second : pair.first].name + " − " + report.branches[forward ? pair.first : pair.second].name;
    claim.add(where, forward ? pair.*figure : negated(pair.*figure), kPoints);
  }
}

struct Expectation {
  std::string claim;
  bool above;
};

void add_branches(std::vector<Finding>& all, const Report& report, const std::string& recipe, const Expectation& expected, Interval BranchFigures::*figure) {
  Claim claim(all, expected.claim, expected.above);
  for (const BranchFigures& figures : report.branches)
    if (report.branch_of(figures).recipe == recipe) claim.add(figures.name, figures.*figure, kPoints);
  claim.close();
}

void add_tuned_alone(std::vector<Finding>& all, const Report& report) {
  add_branches(all, report, "llm", {"Tuning the whole language model learns the targets", true}, &BranchFigures::learning);
  add_branches(all, report, "llm", {"Tuning the whole language model loses held-out skills", false}, &BranchFigures::held_out);
  add_branches(all, report, "llm", {"Part of the loss comes back in later stages (last stage against the lowest)", true}, &BranchFigures::rebound);
}

void add_narrow(std::vector<Finding>& all, const Report& report, const std::string& recipe, const std::string& what) {
  add_branches(all, report, recipe, {"Tuning only " + what + " (" + recipe + ") learns the targets", true}, &BranchFigures::learning);
  Claim keeps(all, recipe + " loses fewer held-out skills than the whole language model", true);
  add_pairs(keeps, report, recipe, "llm", &RecipePair::held_out);
  keeps.close();
  Claim less(all, recipe + " learns somewhat less than the whole language model", false);
  add_pairs(less, report, recipe, "llm", &RecipePair::learning);
  less.close();
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

std::vector<Finding> find_findings(const Report& report) {
  std::vector<Finding> all;
  add_tuned_alone(all, report);
  add_narrow(all, report, "sa_proj", "the self-attention projections");
  add_narrow(all, report, "mlp_gate_up", "the MLPs' gate and up projections");
  Claim more(all, "Of the two, mlp_gate_up learns more", true);
  add_pairs(more, report, "mlp_gate_up", "sa_proj", &RecipePair::learning);
  more.close();
  Claim follows(all, "Forgetting follows the drift of the output distribution", false);
  for (const Drift& drift : report.drifts) follows.add(drift.probe + " @ " + report.sources[drift.source].label, drift.spearman, "Spearman ρ");
  follows.close();
  return all;
}

}  // namespace retain::framework
