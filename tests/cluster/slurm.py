# SPDX-License-Identifier: Apache-2.0
"""A job under a real Slurm that meets its time limit: it saves, is requeued, goes on, and ends with the stages of an undisturbed run.
slurm.py RETAIN. Needs root and Debian's slurm-wlm and munge (slurm.sh).
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import harness

RETAIN = os.path.abspath(sys.argv[1])
BATCH = HERE.parent.parent / "launch" / "cluster" / "slurm.sbatch"


def experiment(folder, store, epochs):
    path = folder / f"{store}.toml"
    path.write_text(f'''[model]
path = "{harness.MODEL / 'hub'}"
[parallel]
tensor = 2
[train]
learning_rate = 1e-4
global_batch = 2
epochs = {epochs}
[[recipe]]
name = "sa_proj"
[[task]]
name = "counting"
train = "{harness.RUN / 'records.jsonl'}"
[store]
path = "{store}"
''')
    return path


def outcome(store):
    return json.loads((store / "study.json").read_text())["branches"], sorted(path.name for path in (store / "stages").iterdir())


def tool(*command):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, check=True).stdout


def state_of(job):
    fields = dict(word.split("=", 1) for word in tool("scontrol", "show", "job", job).split() if "=" in word)
    return fields["JobState"], int(fields["Restarts"])


def a_time_limit(report, folder, expected, path):
    """Slurm counts minutes: asked to signal 50 s before a limit of two, it does so 10 to 70 s after the start."""
    words = folder / "job.out"
    job = tool("sbatch", "--parsable", "--ntasks=2", "--time=2", "--signal=USR1@50", f"--output={words}", BATCH, "run", path).strip()
    deadline, ended = time.monotonic() + 900, 0
    while time.monotonic() < deadline:
        state, restarts = state_of(job)
        if state == "PENDING":  # a requeued job waits two minutes unless it is let go
            subprocess.run(["scontrol", "update", f"JobId={job}", "StartTime=now"], capture_output=True)
        ended = ended + 1 if state in ("COMPLETED", "FAILED", "TIMEOUT", "CANCELLED", "NODE_FAIL") else 0
        if ended == (3 if state == "COMPLETED" else 60):  # a job that is requeued passes through another such state, for seconds
            break
        time.sleep(1)
    text = words.read_text() if words.exists() else ""
    print(f"job {job}: {state} after {restarts} restarts")
    report.check(state == "COMPLETED", f"the job ended {state}: {text}")
    report.check(restarts >= 1, f"the job never met its limit: {text}")
    report.check(state != "COMPLETED" or outcome(folder / "limited") == expected, "another result than an undisturbed run's")


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
        folder = pathlib.Path(scratch)
        begin = time.monotonic()
        harness.run(RETAIN, "-q", "run", experiment(folder, "undisturbed", 40), ranks=2, timeout=600)
        short = time.monotonic() - begin
        epochs = max(40, int(40 * 200 / short))  # more than the limit leaves time for
        harness.run(RETAIN, "-q", "run", experiment(folder, "undisturbed-long", epochs), ranks=2, timeout=900)
        os.environ["SLURM_CONF"] = str(folder / "slurm" / "slurm.conf")
        os.environ.update(RETAIN=RETAIN, RETAIN_BIND="none", OMP_NUM_THREADS="1", OMPI_MCA_mpi_yield_when_idle="1")
        (folder / "slurm").mkdir()
        try:
            subprocess.run([HERE / "slurm.sh", "up", folder / "slurm"], check=True)
            a_time_limit(report, folder, outcome(folder / "undisturbed-long"), experiment(folder, "limited", epochs))
        finally:
            subprocess.run([HERE / "slurm.sh", "down", folder / "slurm"], check=True)
    report.end()


main()
