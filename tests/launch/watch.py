# SPDX-License-Identifier: Apache-2.0
"""Rules that watch a stage: watch.py RETAIN.

Each action does what it says, is in the log and in the stage; a run that is stopped and killed acts as one that is not, on one rank and
on two; a rule that never acts leaves the stage's weights as they are.
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
BASE = f'''[model]
path = "{harness.MODEL / 'hub'}"
[train]
learning_rate = 1e-3
global_batch = 2
max_steps = 6
save_every = 1
[[recipe]]
name = "mlp"
[[task]]
name = "one"
train = "{RECORDS}"
[[benchmark]]
name = "answers"
data = "{RECORDS}"
max_new_tokens = 2
limit = 3
[[probe]]
name = "layers"
kind = "layer_delta"
data = "{RECORDS}"
limit = 2
steps = [1, 2, 3, 5]
[store]
path = "store"
'''
# The first rate is 0: after one step the layers are still the base's, after three they are not.
MOVED = '[[watch]]\nprobe = "layers"\nrise = 1e-9\nsteps = [1, 3, 5]\n'


def write(folder, text):
    folder.mkdir()
    (folder / "experiment.toml").write_text(text)
    return folder / "experiment.toml"


def run(folder, text, ranks=1):
    done = harness.run(RETAIN, "run", write(folder, text), ranks=ranks)
    return outcome(folder), done.stderr


def outcome(folder):
    study = json.loads((folder / "store" / "study.json").read_text())
    (stage,) = study["branches"][0]["stages"]
    (budget,) = (folder / "store" / "results").glob("budget-*")
    return stage, json.loads(budget.read_text())["value"].get("actions", [])


def files(folder, kind):
    place = folder / "store" / kind
    return sorted(str(path.relative_to(place)) for path in place.rglob("*") if path.is_file() and not path.name.startswith(".")) if place.exists() else []


def actions(report, root):
    stage, done = run(root / "never", BASE + '[[watch]]\nprobe = "layers"\nabove = 1e9\naction = "roll_back"\nsteps = [1, 3]\n')[0]
    plain, none = run(root / "plain", BASE)[0]
    report.check(not done and not none and stage["last_step"] == 6, f"a rule that never acts: {done}")
    report.check(stage["probes"] == plain["probes"] and [s["probes"] for s in stage["steps"]] == [s["probes"] for s in plain["steps"]], "and changes nothing")

    (stage, done), said = run(root / "stop", BASE + MOVED)
    report.check(stage["last_step"] == 3 and [a["step"] for a in done] == [3] and done[0]["ends_stage"] and "rise" in done[0]["passed"], f"stop: {done}")
    report.check([s["step"] for s in stage["steps"]] == [1, 2] and stage["probes"]["layers"] == done[0]["figure"], f"the stage is what was looked at: {stage}")
    report.check("rule layers" in said, "the log tells")
    shown = harness.run(RETAIN, "store", "show", root / "stop" / "store", stage["stage"], "--json").stdout
    report.check(json.loads(shown)["info"]["watch"] == done, f"the stage tells: {shown[:300]}")

    (stage, done), _ = run(root / "lower", BASE + MOVED + 'action = "lower_rate"\nfactor = 0\n')
    report.check([(a["step"], a["rate_factor"]) for a in done] == [(3, 0), (5, 0)] and stage["last_step"] == 6, f"lower_rate: {done}")
    report.check(stage["probes"]["layers"] == done[0]["figure"], "nothing is learned at no rate")

    (stage, done), _ = run(root / "panel", BASE + '[[watch]]\nbenchmark = "answers"\nlimit = 2\nbelow = 1.5\nsteps = [2]\n')
    report.check([(a["step"], a["watch"]) for a in done] == [(2, "answers")] and stage["last_step"] == 2, f"a panel: {done}")

    (stage, done), _ = run(root / "back", BASE + MOVED + 'action = "roll_back"\nfactor = 0\n')
    report.check([(a["step"], a["to_step"], a["ends_stage"]) for a in done] == [(3, 1, False)] and stage["last_step"] == 6, f"roll_back: {done}")
    report.check(stage["probes"]["layers"] == 0, "back at the last good look, and no rate from there")
    report.check([(s["step"], s["probes"]["layers"]) for s in stage["steps"]] == [(1, 0), (2, 0), (3, 0), (5, 0)], f"of steps done twice the last: {stage['steps']}")
    losses = json.loads(harness.run(RETAIN, "store", "show", root / "back" / "store", stage["stage"], "--json").stdout)["info"]["losses"]
    report.check(len(losses) == 6, f"one loss a step: {losses}")


def hardship(report, root):
    tired = BASE + MOVED + 'action = "roll_back"\nfactor = 0.5\nmost = 2\n'
    (stage, done), _ = run(root / "tired", tired)
    report.check([(a["step"], a["to_step"], a["rate_factor"], a["ends_stage"]) for a in done] == [(3, 1, 0.5, False), (3, 1, 0.25, False), (3, 1, 0.125, True)], f"{done}")
    report.check(stage["last_step"] == 1 and stage["probes"]["layers"] == 0, f"the stage ends with the last good weights: {stage}")
    for name, waits in (("cut", (1, 2, 3)), ("cut_late", (4, 5))):
        experiment = write(root / name, tired)
        for reading in waits:  # killed when so many looks are kept
            job = subprocess.Popen([RETAIN, "run", str(experiment)], env=harness.ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            while sum(path.startswith("probe-") for path in files(root / name, "results")) <= reading and job.poll() is None:
                time.sleep(0.003)
            if job.poll() is None:
                job.send_signal(signal.SIGKILL if reading % 2 else signal.SIGTERM)
            job.wait(timeout=60)
        harness.run(RETAIN, "run", experiment)
        report.check(outcome(root / name) == (stage, done), f"{name}: acts as if nothing had happened: {outcome(root / name)[1]}")
        report.check(files(root / name, "stages") == files(root / "tired", "stages") and files(root / name, "results") == files(root / "tired", "results"), f"{name}: the same store")
        report.check(not files(root / name, "progress"), f"{name}: no checkpoint is left: {files(root / name, 'progress')}")
    (stage_2, done_2), _ = run(root / "two", tired, ranks=2)
    report.check([(a["step"], a["to_step"]) for a in done_2] == [(a["step"], a["to_step"]) for a in done] and stage_2["last_step"] == 1, "the same on two ranks")


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as scratch:
        actions(report, pathlib.Path(scratch))
        hardship(report, pathlib.Path(scratch))
        for name, keys in (("probe", 'probe = "nobody"\nabove = 1'), ("bound", 'probe = "layers"'), ("action", 'probe = "layers"\nabove = 1\naction = "cry"')):
            refused = harness.run(RETAIN, "run", write(pathlib.Path(scratch) / ("bad_" + name), BASE + f"[[watch]]\n{keys}\n"), check=False)
            report.check(refused.returncode == 1 and refused.stderr.count("[config_invalid]") == 1, f"{name}: {refused.stderr}")
    report.end()


main()
