# SPDX-License-Identifier: Apache-2.0
"""What the black-box tests share: running the command (under mpirun or not) and reading safetensors. Standard library only."""
import array
import json
import math
import os
import pathlib
import struct
import subprocess
import sys
import time

FIXTURES = pathlib.Path(__file__).resolve().parent.parent / "fixtures"
# Another set of reference figures of the same layout can be named: RETAIN_REFERENCE holds D_models and R_run.
REFERENCE = os.environ.get("RETAIN_REFERENCE")
MODELS = pathlib.Path(REFERENCE) / "D_models" if REFERENCE else FIXTURES / "models"
MODEL = MODELS / "llava_onevision"
IMAGES = MODELS / "images"
RUN = pathlib.Path(REFERENCE) / "R_run" if REFERENCE else FIXTURES / "run"
ENVIRONMENT = dict(os.environ, OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                   OMPI_MCA_mpi_yield_when_idle="1", OMPI_MCA_hwloc_base_binding_policy="none")


def launcher(ranks):
    return ["mpirun", "--oversubscribe", "-np", str(ranks)] if ranks > 1 else []


def run(command, *arguments, ranks=1, stdin="", timeout=120, check=True):
    """Runs `retain ARGUMENTS`; returns the finished process. With check, a failure prints what it said and raises."""
    done = subprocess.run(launcher(ranks) + [str(command), *map(str, arguments)], input=stdin, env=ENVIRONMENT, text=True,
                          capture_output=True, timeout=timeout)
    if check and done.returncode != 0:
        sys.exit(f"retain {' '.join(map(str, arguments))} on {ranks} rank(s) ended with {done.returncode}:\n{done.stderr}")
    return done


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


def process_of_rank(parent, rank):
    """Process id of one of this mpirun's ranks."""
    for process in ranks_of(parent):
        if f"OMPI_COMM_WORLD_RANK={rank}\0" in (pathlib.Path("/proc") / str(process) / "environ").read_text():
            return process
    sys.exit(f"rank {rank} is not there")


def wait_until(condition, job, timeout=300):
    """Waits until condition() holds; ends the test when the job (of Popen, with stderr a pipe) ends or stands still before."""
    end = time.monotonic() + timeout
    while not condition():
        if job.poll() is not None or time.monotonic() > end:
            job.kill()
            sys.exit(f"the command ended or stood still before it could be disturbed: {job.communicate()[1]}")
        time.sleep(0.01)


def stages_of(folder):
    """Names of the stage files of the store in a folder, in order."""
    place = folder / "store" / "stages"
    return sorted(path.name for path in place.iterdir() if not path.name.startswith(".")) if place.exists() else []


def read_safetensors(path):
    """name -> (shape, flat list of numbers); F32 and I64 only."""
    data = pathlib.Path(path).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + length])
    tensors = {}
    for name, info in header.items():
        if name == "__metadata__":
            continue
        begin, end = info["data_offsets"]
        values = array.array({"F32": "f", "I64": "q"}[info["dtype"]])
        values.frombytes(data[8 + length + begin:8 + length + end])
        tensors[name] = (info["shape"], values)
    return tensors


class Report:
    """Counts comparisons and failures, and ends the program with the right status."""

    def __init__(self):
        self.checks = 0
        self.failures = []
        self.largest = {}

    def check(self, condition, message):
        self.checks += 1
        if not condition:
            self.failures.append(message)

    def near(self, kind, found, expected, bound, where):
        """|found − expected| ≤ bound; keeps the largest difference of each kind."""
        difference = abs(found - expected)
        self.largest[kind] = max(self.largest.get(kind, 0.0), difference)
        self.check(difference <= bound and not math.isnan(found), f"{where}: {kind} {found} differs from {expected} by {difference}")

    def end(self):
        for kind, difference in self.largest.items():
            print(f"largest difference of {kind}: {difference:.3g}")
        for message in self.failures[:20]:
            print("FAILED", message)
        print(f"{self.checks - len(self.failures)} passed, {len(self.failures)} failed")
        sys.exit(1 if self.failures or not self.checks else 0)
