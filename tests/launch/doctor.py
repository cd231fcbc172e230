# SPDX-License-Identifier: Apache-2.0
"""`retain doctor` finds mistakes that are made on purpose: doctor.py RETAIN."""
import json
import os
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN = sys.argv[1]


def diagnosis(*arguments, ranks=1, before=(), **environment):
    done = subprocess.run([*before, *harness.launcher(ranks), RETAIN, "doctor", *arguments], env={**harness.ENVIRONMENT, **environment},
                          capture_output=True, text=True, timeout=60)
    return json.loads(done.stdout) if done.returncode == 0 else {"advice": [done.stderr]}


def says(report, words):
    return any(all(word in line for word in words) for line in report["advice"])


def main():
    report = harness.Report()
    processors = os.cpu_count()
    with tempfile.TemporaryDirectory() as folder:
        plain = diagnosis(folder)
        report.check(plain["ranks"] == 1 and plain["processors"] == processors, plain)
        report.check(not says(plain, ["threads"]) and not says(plain, ["HDF5"]), plain)
        crowd = diagnosis(folder, ranks=2, OMP_NUM_THREADS=str(processors))
        report.check(crowd["ranks_on_this_host"] == 2 and says(crowd, [f"{processors} processors for {2 * processors} threads"]), crowd)
        if processors > 1:
            bound = diagnosis(folder, before=["taskset", "-c", "0"], OMP_NUM_THREADS="2")
            report.check(says(bound, ["rank 0 may use 1 processors but has 2 threads"]), bound)
            shared = diagnosis(folder, ranks=2, before=["taskset", "-c", "0"])
            report.check(says(shared, ["bound to the same processors"]), shared)
        report.check(says(diagnosis(folder, SLURM_NTASKS="4"), ["Slurm gives 4 tasks", "srun"]), "a batch system's tasks")
        report.check(says(diagnosis(f"{folder}/none"), ["may not write"]), "a folder that is not there")
        report.check(not list(pathlib.Path(folder).iterdir()), "nothing is left behind")
    report.end()


main()
