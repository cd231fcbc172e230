# SPDX-License-Identifier: Apache-2.0
"""Kills a run with SIGKILL at random points and runs it again: every committed stage stays, and in the end the same stages and
results are there as after an undisturbed run. recovery.py RETAIN KILLS SEED [RANKS]
"""
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN, KILLS, SEED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
RANKS = int(sys.argv[4]) if len(sys.argv) > 4 else 2


def write_experiment(folder, store):
    records = harness.RUN / "records.jsonl"
    path = pathlib.Path(folder) / f"{store}.toml"
    path.write_text(f'''[model]
path = "{harness.MODEL / 'hub'}"
[parallel]
tensor = 2
[train]
learning_rate = 1e-3
global_batch = 2
epochs = 3
save_every = 4
[[recipe]]
name = "sa_proj"
[[recipe]]
name = "full"
[[task]]
name = "first"
train = "{records}"
[[task]]
name = "second"
train = "{records}"
seed = 1
[[benchmark]]
name = "answers"
data = "{records}"
max_new_tokens = 6
[[probe]]
data = "{records}"
[store]
path = "{folder}/{store}"
''')
    return path


def command(experiment, log):
    return harness.launcher(RANKS) + [RETAIN, "-q", "run", str(experiment), "--log", str(log)]


def verify(report, store, where):
    if (pathlib.Path(store) / "refs").exists():
        done = harness.run(RETAIN, "store", "verify", store, check=False)
        report.check(done.returncode == 0, f"{where}: verify says {done.stdout}{done.stderr}")


def ranks_of(parent):
    """Process ids of the ranks that this mpirun started."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"PPid:\t{parent}\n" in (entry / "status").read_text():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def killed_run(experiment, log, rng, longest):
    """Starts a run and kills one of its ranks after a random time. True when it had ended before."""
    process = subprocess.Popen(command(experiment, log), env=harness.ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(rng.uniform(0.3, longest))
    victims = ranks_of(process.pid)
    if victims:
        try:
            os.kill(rng.choice(victims), signal.SIGKILL)
        except ProcessLookupError:
            pass
    start = time.monotonic()
    process.wait(timeout=60)
    return process.returncode == 0, time.monotonic() - start


def outcome(store):
    """What must be equal: the study (stage ids, scores, probes), every memoised result, and the stages' file names."""
    store = pathlib.Path(store)
    results = {p.name: p.read_bytes() for p in (store / "results").glob("*")}
    # The import of the base is memoised by file times, the rest by content.
    return {"study": json.loads((store / "study.json").read_text())["branches"],
            "results": {k: v for k, v in results.items() if not k.startswith("base-")},
            "stages": sorted(p.name for p in (store / "stages").iterdir())}


report = harness.Report()
rng = random.Random(SEED)
folder = tempfile.mkdtemp()
start = time.monotonic()
undisturbed = subprocess.run(command(write_experiment(folder, "undisturbed"), f"{folder}/undisturbed.jsonl"), env=harness.ENVIRONMENT,
                             capture_output=True, text=True)
longest = time.monotonic() - start
report.check(undisturbed.returncode == 0, undisturbed.stderr)
experiment = write_experiment(folder, "killed")
kills = 0
for attempt in range(50 * KILLS):
    finished, waited = killed_run(experiment, f"{folder}/killed.jsonl", rng, longest)
    verify(report, f"{folder}/killed", f"after kill {kills}")
    report.check(waited < 20, f"the other ranks ended {waited:.0f} s after the kill")
    if finished:
        shutil.rmtree(f"{folder}/killed")  # begin again until enough runs were killed
        continue
    kills += 1
    if kills == KILLS:
        break
harness.run(RETAIN, "-q", "run", experiment, "--log", f"{folder}/killed.jsonl", ranks=RANKS)
verify(report, f"{folder}/killed", "at the end")
expected, found = outcome(f"{folder}/undisturbed"), outcome(f"{folder}/killed")
for part in expected:
    report.check(found[part] == expected[part], f"{part} differ from an undisturbed run's")
steps = [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in pathlib.Path(f"{folder}/undisturbed.jsonl").read_text().splitlines()]
again = [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in pathlib.Path(f"{folder}/killed.jsonl").read_text().splitlines()]
report.check(sorted(map(str, steps)) == sorted(map(str, again)), "the log differs from an undisturbed run's")
shutil.rmtree(folder)
print(f"{kills} kills, an undisturbed run takes {longest:.1f} s")
report.end()
