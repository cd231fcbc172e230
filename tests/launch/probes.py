# SPDX-License-Identifier: Apache-2.0
"""Probes at stage ends and inside a stage: probes.py RETAIN.

Stages are those of the same run without probes, bit for bit; a run that is stopped in a stage ends with the same readings; nothing is
read twice; several ranks read what one reads; wrong probes are refused.
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
RECORDS = harness.RUN / "records.jsonl"
STEPS = [1, 3]
TAUGHT = f'''[model]
path = "{harness.MODEL / 'hub'}"
[train]
learning_rate = 1e-3
global_batch = 2
max_steps = 6
save_every = 2
[[recipe]]
name = "mlp"
[[task]]
name = "one"
train = "{RECORDS}"
[store]
path = "store"
'''
KINDS = {"number_bias": 'kind = "number_bias"', "written": 'kind = "number_bias"\ntext = "generated"\nmax_new_tokens = 4',
         "words": 'kind = "token_bias"\npattern = "^ ?[a-z]+$"', "taught": 'kind = "token_bias"\ntask = "one"\ncount = 4\ntask_records = 4',
         "distance": 'kind = "output_distance"', "layers": 'kind = "layer_delta"', "said": 'kind = "samples"\nmax_new_tokens = 4'}
PROBED = TAUGHT + "".join(f'[[probe]]\nname = "{name}"\ndata = "{RECORDS}"\nlimit = 3\nsteps = {STEPS}\n{keys}\n' for name, keys in KINDS.items())


def write(folder, text):
    folder.mkdir()
    (folder / "experiment.toml").write_text(text)
    return folder / "experiment.toml"


def study(folder):
    return json.loads((folder / "store" / "study.json").read_text())


def readings(folder):
    place = folder / "store" / "results"
    return sorted(path.name for path in place.rglob("probe-*")) if place.exists() else []


def reading(folder, key):
    return json.loads((folder / "store" / "results" / (key + ".json")).read_text())["value"]


def figures(point):
    return {(step, name): value for step, probes in [(0, point["probes"])] + [(s["step"], s["probes"]) for s in point.get("steps", [])]
            for name, value in probes.items()}


def whole_run(report, folder):
    harness.run(RETAIN, "run", write(folder, PROBED))
    base, stage = study(folder)["base"], study(folder)["branches"][0]["stages"][0]
    report.check([step["step"] for step in stage["steps"]] == STEPS and stage["last_step"] == 6, f"steps: {stage}")
    for point in [stage] + stage["steps"]:
        report.check(set(point["readings"]) == set(KINDS) and set(point["probes"]) == set(KINDS) - {"said"}, f"all probes: {point}")
    report.near("distance of the base from itself", base["probes"]["distance"], 0, 1e-6, "base")
    report.check(base["probes"]["layers"] == 0, "the base's layers")
    curve = [step["probes"]["layers"] for step in stage["steps"]] + [stage["probes"]["layers"]]
    report.check(curve[0] == 0 and 0 < curve[1] < curve[2], f"the first rate is 0, then layers move away: {curve}")
    kept = reading(folder, stage["steps"][1]["readings"]["words"])
    report.near("mean over tokens", sum(t["probability"] for t in kept["tokens"]), kept["value"], 1e-6, "tokens add up to the figure")
    report.check(kept["value"] == stage["steps"][1]["probes"]["words"], "the study holds what the store holds")
    report.check(len(reading(folder, stage["readings"]["taught"])["tokens"]) == 4, "a task's tokens")
    answers = reading(folder, stage["steps"][0]["readings"]["said"])["answers"]
    report.check([answer["id"] for answer in answers] == ["r00", "r01", "r02"], f"answers: {answers}")
    report.check(len(readings(folder)) == len(KINDS) * 4, f"{len(readings(folder))} readings")
    return stage


def stopped_run(report, folder, whole):
    """Asked to stop once the first reading inside the stage is there, then killed, then let go on."""
    experiment = write(folder, PROBED)
    for sign in (signal.SIGTERM, signal.SIGKILL):
        job = subprocess.Popen([RETAIN, "run", str(experiment)], env=harness.ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wanted = len(readings(folder)) + len(KINDS) + 2
        while len(readings(folder)) < wanted and job.poll() is None:
            time.sleep(0.005)
        if job.poll() is None:
            job.send_signal(sign)
        job.wait(timeout=60)
    harness.run(RETAIN, "run", experiment)
    report.check(study(folder) == study(whole), "a stopped and killed run ends with the same study")
    report.check(harness.stages_of(folder) == harness.stages_of(whole) and readings(folder) == readings(whole), "with the same stages and readings")


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        stage = whole_run(report, root / "whole")
        harness.run(RETAIN, "run", write(root / "plain", TAUGHT))
        report.check(harness.stages_of(root / "plain") == harness.stages_of(root / "whole"), "probes leave the stages as they are, bit for bit")
        before = (study(root / "whole"), readings(root / "whole"))
        again = harness.run(RETAIN, "run", root / "whole" / "experiment.toml", ranks=2)
        report.check("taught before" in again.stderr and (study(root / "whole"), readings(root / "whole")) == before, "nothing is read twice, on two ranks")
        stopped_run(report, root / "stopped", root / "whole")
        for name, mesh in (("tensor", "tensor = 2\n"), ("pipeline", "pipeline = 2\n"), ("data", "")):
            harness.run(RETAIN, "run", write(root / name, PROBED + "[parallel]\n" + mesh), ranks=2)
            found = study(root / name)["branches"][0]["stages"][0]
            expected = figures(stage)
            report.check(set(figures(found)) == set(expected), f"{name}: the same figures")
            for key, value in expected.items():
                report.near("a figure", figures(found)[key], value, 2e-4 * max(1, abs(value)), f"{name} {key}")
        for name, keys in (("kind", 'kind = "nobias"'), ("tokens", 'kind = "token_bias"\ntokens = ["supercalifragilistic"]'),
                           ("pattern", 'kind = "token_bias"\npattern = "zzzzqqqq"'), ("task", 'kind = "token_bias"\ntask = "two"'),
                           ("steps", "steps = [-1]")):
            refused = harness.run(RETAIN, "run", write(root / ("bad_" + name), TAUGHT + f'[[probe]]\ndata = "{RECORDS}"\n{keys}\n'), check=False)
            report.check(refused.returncode == 1 and refused.stderr.count("[config_invalid]") == 1, f"{name}: {refused.stderr}")
            report.check(not (root / ("bad_" + name) / "store").exists(), f"{name}: before any work")
    report.end()


main()
