# SPDX-License-Identifier: Apache-2.0
"""One rank of a run stops answering: watchdog.py RETAIN. The others end the run after parallel.watchdog_seconds and say which rank it
is, and at which step of which task under which recipe it was.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN = sys.argv[1]
SECONDS = 2


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        experiment, log = folder / "e.toml", folder / "steps.jsonl"
        experiment.write_text(f'''[model]
path = "{harness.MODEL / 'hub'}"
[parallel]
tensor = 2
watchdog_seconds = {SECONDS}
[train]
global_batch = 2
epochs = 100000
[[recipe]]
name = "sa_proj"
[[task]]
name = "counting"
train = "{harness.RUN / 'records.jsonl'}"
[store]
path = "store"
''')
        process = subprocess.Popen(harness.launcher(2) + [RETAIN, "-q", "run", str(experiment), "--log", str(log)],
                                   env=harness.ENVIRONMENT, stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and not (log.exists() and log.read_text().count("\n") > 3):
            time.sleep(0.05)
        os.kill(harness.process_of_rank(process.pid, 1), signal.SIGSTOP)
        start = time.monotonic()
        try:
            message = process.communicate(timeout=60)[1]
        except subprocess.TimeoutExpired:
            process.kill()
            sys.exit("the run did not end")
        waited = time.monotonic() - start
        report.check(process.returncode not in (0, 3), f"the run ended with {process.returncode}")
        report.check(SECONDS - 1 < waited < SECONDS + 30, f"the run ended {waited:.1f} s after the rank stopped")
        report.check("rank 1 did not arrive" in message, message)
        report.check(re.search(r"recipe sa_proj, task counting, step \d+", message), message)
        report.check(f"{SECONDS} s" in message and "watchdog_seconds" in message, message)
    report.end()


main()
