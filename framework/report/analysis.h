// SPDX-License-Identifier: Apache-2.0
// What one or several studies say, with intervals: the figures that the page and the summary show.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "framework/report/answers.h"
#include "framework/report/readings.h"
#include "framework/report/study.h"
#include "framework/statistics/mcnemar.h"
#include "framework/statistics/moments.h"
#include "framework/statistics/recovery.h"
#include "framework/statistics/transfer.h"

namespace retain::framework {

/// A store's study and the answers behind it.
struct StudySource {
  std::string label;    ///< how the page calls the store
  Study study;
  KeptAnswers answers;
  KeptReadings readings = {};
};

/// A drop of one held-out benchmark and its fate, percentage points.
struct BenchmarkDrop {
  std::string benchmark;
  Drop drop;            ///< stage 1 is the branch's first
};

/// One branch. All figures are percentage points; 95 % paired bootstrap intervals over samples, unknown where answers are not kept.
struct BranchFigures {
  std::size_t source = 0;
  std::size_t branch = 0;                    ///< within the source's study
  std::string name;                          ///< tells it from every other branch of the report
  Measures measures;
  TransferMeasures transfer;
  Interval learning;                         ///< of measures.target_learning
  Interval held_out;                         ///< of measures.held_out_forgetting
  Interval rebound;                          ///< held-out mean, last stage − the stage where it was lowest
  std::map<std::string, Interval> changes;   ///< benchmark → last stage − base
  std::vector<BenchmarkDrop> drops;          ///< of the held-out benchmarks
  RecoverySum recovery;                      ///< of these, mean over the held-out benchmarks
};

/// The seeds of one recipe in one order.
struct RecipeGroup {
  std::string name;
  std::string recipe;
  std::size_t source = 0;
  std::vector<std::size_t> members;          ///< of Report::branches
  Moments learning, forgetting, overall, held_out, returned, lost;
};

/// Two recipes of the same source, order and seed after their last stage. Differences are second − first, percentage points.
struct RecipePair {
  std::size_t first = 0, second = 0;         ///< of Report::branches
  Interval learning, held_out;
  McNemar targets, held_out_samples;         ///< of all samples of these benchmarks together; p NaN without answers
};

/// A probe against forgetting, one point a distinct stage of all runs of the source, incomplete ones too.
struct Drift {
  std::size_t source = 0;
  std::string probe;
  std::vector<double> change;                ///< probe − the base's
  std::vector<double> held_out;              ///< held-out mean − the base's, percentage points
  std::vector<std::size_t> branch;           ///< of Report::branches
  std::size_t recipes = 0, orders = 0;       ///< that these stages are of
  // crossed_correlation() over recipes and orders: all runs of a recipe are one draw, and so are all of an order.
  Interval pearson, spearman;                ///< of change with held_out
  Interval steps;                            ///< Spearman's ρ of their changes from one stage to the next
};

struct Report {
  std::vector<StudySource> sources;
  std::vector<BranchFigures> branches;
  std::vector<RecipeGroup> groups;
  std::vector<RecipePair> pairs;
  std::vector<Drift> drifts;

  const Study& study_of(const BranchFigures& figures) const { return sources[figures.source].study; }
  const StudyBranch& branch_of(const BranchFigures& figures) const { return study_of(figures).branches[figures.branch]; }
};

/// Throws Error(usage) without a source.
Report analyse(std::vector<StudySource> sources);

/// score(point) of every stage, the base first.
template <class Score>
std::vector<double> series_of(const Study& study, const StudyBranch& branch, const Score& score) {
  std::vector<double> series{score(study.base)};
  for (const StudyPoint& point : branch.stages) series.push_back(score(point));
  return series;
}

}  // namespace retain::framework
