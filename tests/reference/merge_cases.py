# SPDX-License-Identifier: Apache-2.0
# Writes tests/fixtures/merge/cases.json: merges of three small models, TIES and task arithmetic by PEFT's merge_utils where
# all weights are equal, and by numpy where they differ: weights divided out, as mergekit does for positive ones. Negative
# ones are divided out without their sign, so that equal weights below 0 give what PEFT gives for them.
#   python tests/reference/merge_cases.py tests/fixtures/merge/cases.json
import json
import sys

import numpy as np
import torch
from peft.utils.merge_utils import task_arithmetic, ties


def weighted_ties(deltas, weights, density, rule):
    trimmed = []
    for delta in deltas:
        flat = np.abs(delta).ravel()
        kept = max(1, int(density * flat.size))
        trimmed.append(np.where(np.abs(delta) >= np.sort(flat)[::-1][kept - 1], delta, 0.0))
    parts = np.stack([w * d for w, d in zip(weights, trimmed)])
    balance = parts.sum(0) if rule == "sum" else np.sign(parts).sum(0)
    majority = np.where(balance >= 0, 1.0, -1.0)
    mask = np.sign(parts) == majority
    weight = (np.abs(np.asarray(weights)).reshape(-1, *[1] * deltas[0].ndim) * mask).sum(0)
    return np.divide((parts * mask).sum(0), weight, out=np.zeros_like(weight), where=weight != 0)


def main(path):
    generator = torch.Generator().manual_seed(17)
    shape = (5, 7)
    draw = lambda scale: (torch.randn(shape, generator=generator) * scale).float()
    base = draw(1.0)
    models = [base + draw(0.1) for _ in range(3)]
    models[1][0, :3] = base[0, :3]  # what one model left alone
    deltas = [(m.double() - base.double()) for m in models]
    cases = []

    def add(kind, merged, weights, density=1.0, scale=1.0, sign="sum"):
        result = base.double() + scale * torch.as_tensor(np.asarray(merged))
        cases.append(dict(kind=kind, weights=weights, density=density, scale=scale, sign=sign, result=result.float().flatten().tolist()))

    ones = [1.0] * 3
    add("task_arithmetic", task_arithmetic(deltas, torch.tensor(ones, dtype=torch.float64)), ones)
    weights = [0.5, -1.0, 0.25]
    add("task_arithmetic", task_arithmetic(deltas, torch.tensor(weights, dtype=torch.float64)), weights, scale=0.7)
    for density in (0.2, 0.5, 1.0):
        for sign, method in (("sum", "total"), ("count", "frequency")):
            add("ties", ties(deltas, torch.tensor(ones, dtype=torch.float64), density, method), ones, density, 0.9, sign)
            for weights in ([0.5, 2.0, 1.0], [1.0, -0.5, 2.0], [-1.0, -2.0, 0.5]):
                add("ties", weighted_ties([d.numpy() for d in deltas], weights, density, sign), weights, density, 1.0, sign)
            # PEFT elects the sign before it weighs: of −τ that is the sign of Σ −τ, and no sum here is 0
            taken = ties([-d for d in deltas], torch.tensor(ones, dtype=torch.float64), density, method)
            add("ties", taken, [-1.0] * 3, density, 1.0, sign)
    document = dict(shape=list(shape), base=base.flatten().tolist(), models=[m.flatten().tolist() for m in models], cases=cases)
    with open(path, "w") as file:
        json.dump(document, file)


main(sys.argv[1])
