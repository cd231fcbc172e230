// SPDX-License-Identifier: Apache-2.0
// Learning, forgetting and transfer of a curriculum, from the matrix of scores after every stage.
#pragma once
#include <vector>

namespace retain::framework {

/// scores[k][t]: task t after stage k, row 0 the base, row k + 1 the stage that taught task k; so a row more than columns,
/// tasks in teaching order. NaN: not measured.
using ScoreMatrix = std::vector<std::vector<double>>;

/// R = scores, T tasks taught in stages 1 … T, task t in stage t. Means over the tasks for which all terms are known; NaN where
/// there are none.
struct TransferMeasures {
  double learning;            ///< R[t][t] − R[0][t] (arXiv 2510.08564)
  double forgetting;          ///< R[T][t] − R[t][t] over all tasks, the last one's 0 included (same)
  double overall;             ///< R[T][t] − R[0][t] (same)
  double maximum_forgetting;  ///< t < T: max over stages 1 … T−1 of R[k][t], minus R[T][t] (Chaudhry et al. 2018); a loss is positive
  double backward_transfer;   ///< t < T: R[T][t] − R[t][t] (Lopez-Paz & Ranzato 2017)
  double forward_transfer;    ///< t > 1: R[t−1][t] − R[0][t] (same, the base in place of a random start)
};

/// Throws Error(internal) unless every row has as many columns and there is one row more than columns.
TransferMeasures transfer(const ScoreMatrix& scores);

}  // namespace retain::framework
