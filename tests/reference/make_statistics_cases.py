# SPDX-License-Identifier: Apache-2.0
# Writes tests/fixtures/statistics/cases.json: spread, bootstrap bounds, McNemar's test and correlations by numpy and scipy.
#   python tests/reference/make_statistics_cases.py tests/fixtures/statistics/cases.json
import json
import sys

import numpy as np
from scipy import stats

RESAMPLES = 40000
SLACK = 0.006  # in probability: four standard errors of a 2.5 % quantile over 10,000 resamples


def bootstrap_case(rng, strata):
    figures = np.zeros(RESAMPLES)
    for values, weight in strata:
        picked = rng.integers(0, len(values), (RESAMPLES, len(values)))
        figures += weight * np.asarray(values)[picked].mean(1)
    at = lambda p: float(np.quantile(figures, p))
    return dict(strata=[dict(values=list(v), weight=w) for v, w in strata], estimate=float(sum(w * np.mean(v) for v, w in strata)),
                low=[at(0.025 - SLACK), at(0.025 + SLACK)], high=[at(0.975 - SLACK), at(0.975 + SLACK)])


def bootstrap_cases(rng):
    differences = lambda n, p: [float(x) for x in rng.choice([-1, 0, 1], n, p=p)]
    yield bootstrap_case(rng, [(differences(200, [0.2, 0.7, 0.1]), 1.0)])
    yield bootstrap_case(rng, [(differences(50, [0.3, 0.6, 0.1]), 0.5), (differences(120, [0.05, 0.9, 0.05]), 0.5)])
    yield bootstrap_case(rng, [([float(x) for x in rng.normal(0.3, 1, 35)], 1.0)])
    yield bootstrap_case(rng, [([float(x) for x in rng.random(17)], 1 / 3) for _ in range(3)])
    yield bootstrap_case(rng, [([0.25], 1.0)])


def correlation_case(x, y):
    return dict(x=list(map(float, x)), y=list(map(float, y)), pearson=float(stats.pearsonr(x, y).statistic),
                spearman=float(stats.spearmanr(x, y).statistic), ranks=stats.rankdata(x).tolist())


def correlation_cases(rng):
    for n, slope in ((4, 1.0), (15, -0.8), (60, 0.0), (60, 2.0)):
        x = rng.normal(size=n)
        yield correlation_case(x, slope * x + rng.normal(size=n))
    yield correlation_case(rng.integers(0, 4, 25), rng.integers(0, 4, 25))  # ties


def main(path):
    rng = np.random.default_rng(20)
    samples = [rng.normal(3, 2, n) for n in (2, 3, 10)]
    tables = [(0, 0), (1, 0), (0, 6), (5, 12), (12, 5), (40, 41), (300, 380), (900, 1200)]
    cases = dict(
        moments=[dict(values=s.tolist(), mean=float(s.mean()), deviation=float(s.std(ddof=1))) for s in samples],
        bootstrap=list(bootstrap_cases(rng)),
        mcnemar=[dict(first=b, second=c, p=float(stats.binomtest(b, b + c, 0.5).pvalue) if b + c else 1.0) for b, c in tables],
        correlation=list(correlation_cases(rng)))
    with open(path, "w") as file:
        json.dump(cases, file, separators=(",", ":"))
        file.write("\n")


main(sys.argv[1])
