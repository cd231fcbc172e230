# SPDX-License-Identifier: Apache-2.0
"""One of four ranks stops answering, or is killed: watchdog.py RETAIN. The others end the run, after parallel.watchdog_seconds or at once,
and say which rank it is, and at which step of which task under which recipe it was.
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
SECONDS = 4
RANKS = 4


def disturb(folder, number):
    """Sends a signal to the last rank while it teaches. The run's status, what it says, and the seconds until it ends."""
    experiment, log = folder / f"{number}.toml", folder / f"{number}.jsonl"
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
path = "store-{number}"
''')
    process = subprocess.Popen(harness.launcher(RANKS) + [RETAIN, "-q", "run", str(experiment), "--log", str(log)],
                               env=harness.ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    harness.wait_until(lambda: log.exists() and log.read_text().count("\n") > 3, process)
    os.kill(harness.process_of_rank(process.pid, RANKS - 1), number)
    start = time.monotonic()
    try:
        message = process.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        process.kill()
        sys.exit("the run did not end")
    return process.returncode, message, time.monotonic() - start


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as scratch:
        for number, said in ((signal.SIGSTOP, "rank 3 did not arrive"), (signal.SIGKILL, "the process of rank 3 has ended")):
            status, message, waited = disturb(pathlib.Path(scratch), int(number))
            report.check(status not in (0, 3), f"the run ended with {status}")
            report.check(waited < SECONDS + 30, f"the run ended {waited:.1f} s after {number.name}")
            report.check(said in message, message)
            report.check(re.search(r"recipe sa_proj, task counting, step \d+", message), message)
            if number == signal.SIGSTOP:
                report.check(waited > SECONDS - 1, f"the run ended {waited:.1f} s after the rank stopped")
                report.check(f"{SECONDS} s" in message and "watchdog_seconds" in message, message)
    report.end()


main()
