# SPDX-License-Identifier: Apache-2.0
"""A study of two recipes, three orders and two seeds on two ranks: study.py RETAIN.

Steps that branches share run once; the same study again teaches nothing, also after gc thinned its branches out; what is missing then is
taught from stages that are taught again, and no branch goes back for it; one killed in the middle ends with the same stages; what was not
taught at equal budget is marked.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN = sys.argv[1]
STUDY = f'''[model]
path = "{harness.MODEL / 'hub'}"
[train]
learning_rate = 1e-3
global_batch = 2
max_steps = 1
[study]
seeds = [3, 4]
orders = [["one", "two", "three"], ["one", "three", "two"], ["two"]]
[[recipe]]
name = "sa_proj"
[[recipe]]
name = "mlp"
global_batch = 1
''' + "".join(f'[[task]]\nname = "{name}"\ntrain = "{harness.RUN / "records.jsonl"}"\n' for name in ("one", "two", "three")) + f'''[[benchmark]]
name = "answers"
data = "{harness.RUN / 'records.jsonl'}"
max_new_tokens = 1
limit = 1
[store]
path = "store"
'''
# one, one-two, one-two-three, one-three, one-three-two, two: of 7 stages an order at a time, for 2 recipes and 2 seeds.
DISTINCT = 6 * 4


def branches(folder):
    study = json.loads((folder / "store" / "study.json").read_text())
    return study, {branch["name"]: [stage["stage"] for stage in branch["stages"]] for branch in study["branches"]}


def write(folder):
    folder.mkdir()
    (folder / "study.toml").write_text(STUDY)
    return folder / "study.toml"


def kill_in_the_middle(experiment, folder, after):
    """Kills a rank once `after` stages are there, with which the others end; False when the run ended before."""
    job = subprocess.Popen(harness.launcher(2) + [RETAIN, "run", str(experiment)], env=harness.ENVIRONMENT, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    while len(harness.stages_of(folder)) < after and job.poll() is None:
        time.sleep(0.02)
    for rank in harness.ranks_of(job.pid)[:1]:
        os.kill(rank, signal.SIGKILL)
    return job.wait(timeout=60) != 0


def moves(folder):
    """Where the branches have been, and where they are."""
    return (folder / "store" / "log" / "refs.jsonl").read_text().splitlines(), {
        path.name: path.read_text() for path in (folder / "store" / "refs" / "heads").iterdir()}


def thin_out(report, folder, experiment, study):
    """Only the heads and the base stay: the same study again needs none of the rest, one more order some of it."""
    whole = harness.stages_of(folder)
    harness.run(RETAIN, "store", "gc", folder / "store", "--keep-last", 1)
    left, before = harness.stages_of(folder), moves(folder)
    # Of six stages for a recipe and a seed three end a branch.
    report.check(len(left) == 1 + 3 * 4, f"gc left {len(left)} of {len(whole)} stages")
    for ranks in (2, 1):
        again = harness.run(RETAIN, "run", experiment, ranks=ranks)
        report.check(again.stderr.count("taught before") == 7 * 4 and again.stderr.count("which gc removed") == 4 * 4, f"after gc on {ranks}: {again.stderr}")
        report.check((harness.stages_of(folder), moves(folder), branches(folder)) == (left, before, study), f"after gc {ranks} ranks taught or moved something")
    more = folder / "more.toml"
    more.write_text(STUDY.replace('["two"]]', '["two"], ["one", "three"]]'))
    said = harness.run(RETAIN, "run", more, ranks=2, timeout=400).stderr  # one-three ends a branch now
    report.check(said.count("taught again") == 2 * 4 and "branch sa_proj.1-3.s3 ends with it" in said, f"stages that are needed: {said}")
    found, heads = moves(folder)
    new = {name: text for name, text in heads.items() if name not in before[1]}
    report.check(len(new) == 4 and before[1].items() <= heads.items() and len(found) == len(before[0]) + 2 * 4, f"branches were moved: {found[len(before[0]):]}")
    report.check(set(left) < set(harness.stages_of(folder)) <= set(whole), "what was taught again is what it was")
    harness.run(RETAIN, "store", "verify", folder / "store")


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as scratch:
        whole = pathlib.Path(scratch) / "whole"
        experiment = write(whole)
        planned = json.loads(harness.run(RETAIN, "run", experiment, "--dry-run", "--json").stdout)["study"]
        report.check((planned["stages"], planned["distinct"]) == (7 * 4, DISTINCT), f"planned: {planned['stages']}, {planned['distinct']}")
        first = harness.run(RETAIN, "run", experiment, ranks=2, timeout=400)
        study, names = branches(whole)
        stages = harness.stages_of(whole)
        report.check(len(stages) == 1 + DISTINCT, f"{len(stages)} stages: shared steps run once")
        report.check(set(names) == {f"{r}.{o}.s{s}" for r in ("sa_proj", "mlp") for o in ("given", "1-3-2", "2") for s in (3, 4)}, f"branches {sorted(names)}")
        report.check(names["sa_proj.given.s3"][0] == names["sa_proj.1-3-2.s3"][0] != names["sa_proj.given.s4"][0], "the first stage is shared")
        report.check(all(branch["recipe"] in ("sa_proj", "mlp") and branch["seed"] in (3, 4) for branch in study["branches"]), "recipe and seed")
        report.check(not study["equal_budget"] and any("global batches" in text for text in study["unequal_budgets"]), f"{study['unequal_budgets']}")
        report.check("not at equal budget: global batches differ: 1 (mlp.1-3-2.s3" in first.stdout, f"the guard is printed: {first.stdout}")
        budgets = {branch["name"]: branch["budget"] for branch in study["branches"]}
        report.check(budgets["mlp.given.s3"]["steps"] == 3 and budgets["mlp.given.s3"]["tokens"] > 0, f"{budgets}")
        again = harness.run(RETAIN, "run", experiment, ranks=2)
        report.check(again.stderr.count("taught before") == 7 * 4 and branches(whole) == (study, names), "the same study again teaches nothing")
        thin_out(report, whole, experiment, (study, names))

        cut = pathlib.Path(scratch) / "cut"
        experiment = write(cut)
        killed = [kill_in_the_middle(experiment, cut, after) for after in (5, 14)]
        report.check(any(killed), "no run could be killed")
        harness.run(RETAIN, "run", experiment, ranks=2, timeout=400)
        report.check(branches(cut)[1] == names and harness.stages_of(cut) == stages, "a study that was killed ends with the same stages")
        store = harness.run(RETAIN, "store", "log", cut / "store", "sa_proj.1-3-2.s4")
        report.check(store.returncode == 0, "a branch is found by its name")
    report.end()


main()
