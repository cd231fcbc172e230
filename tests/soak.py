# SPDX-License-Identifier: Apache-2.0
"""Watches a long run for growth, and judges what it saw. Reads /proc; standard library only.

soak.py watch SAMPLES STORE [--every 60] -- mpirun … retain run …   samples the ranks while the command runs; ends with its status
soak.py judge SAMPLES RETAIN STORE [--warm-up 45] [--run N]         status 1 where memory, descriptors, threads or the store grew

A sample is a JSON line: time, run (one number a start of the command), stages committed, bytes of the store's folders, /dev/shm in
use, and of each rank anonymous memory, resident memory, file descriptors and threads. Memory is judged over the stages committed, since
a stage, not a minute, is what could leak.
"""
import argparse
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "support"))
import harness

MIB = 2**20
FEWEST = 20                 # samples of a run after its warm-up; a shorter run says nothing
MEMORY_A_STAGE = 64 * 1024  # bytes of anonymous memory a rank: less than one stage's smallest tensors, gradients or answers kept
MEMORY_IN_ALL = 32 * MIB    # what the line may rise over the whole run
SHARED_IN_ALL = 4 * MIB
STAGES_SHOWN = 60           # of a store, evenly spread: each takes a start of the command
RESULTS_A_STAGE = 1 * MIB   # answers and figures of a stage on a dozen benchmarks of fifty questions


def rank_sample(pid):
    status = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
    kib = lambda name: int(status[name].split()[0]) * 1024
    return {"pid": pid, "anonymous": kib("RssAnon"), "resident": kib("VmRSS"), "threads": int(status["Threads"]),
            "descriptors": len(os.listdir(f"/proc/{pid}/fd"))}


def folder_bytes(folder):
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except FileNotFoundError:
                continue  # renamed meanwhile
    return total


def sample(parent, store, run):
    ranks = []
    for pid in sorted(harness.ranks_of(parent)):
        try:
            ranks.append(rank_sample(pid))
        except (OSError, KeyError):
            continue  # ended meanwhile
    shared = os.statvfs("/dev/shm")
    stages = store / "stages"
    return {"time": round(time.time()), "run": run, "stages": len(list(stages.glob("*.h5"))) if stages.is_dir() else 0,
            "stage_bytes": folder_bytes(stages), "result_bytes": folder_bytes(store / "results"), "store_bytes": folder_bytes(store),
            "shm": (shared.f_blocks - shared.f_bfree) * shared.f_frsize, "ranks": ranks}


def watch(options):
    options.samples.parent.mkdir(parents=True, exist_ok=True)
    run = max((line["run"] for line in read(options.samples)), default=0) + 1 if options.samples.exists() else 1
    process = subprocess.Popen(options.command)
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda number, _: process.send_signal(number))
    with options.samples.open("a") as out:
        while True:
            try:
                return process.wait(timeout=options.every)
            except subprocess.TimeoutExpired:
                out.write(json.dumps(sample(process.pid, options.store, run)) + "\n")
                out.flush()


def read(file):
    return [json.loads(line) for line in file.read_text().splitlines()]


def slope(xs, ys):
    """Theil and Sen's: the median of all pairs' slopes, which single peaks do not move."""
    pairs = [(ys[j] - ys[i]) / (xs[j] - xs[i]) for i in range(len(xs)) for j in range(i) if xs[i] != xs[j]]
    return statistics.median(pairs) if pairs else 0.0


def judge_rank(report, name, lines, index):
    stages = [line["stages"] for line in lines]
    series = lambda key: [line["ranks"][index][key] for line in lines]
    taught = stages[-1] - stages[0]
    memory = slope(stages, series("anonymous"))
    print(f"{name}: anonymous {series('anonymous')[0] / MIB:.0f} → {series('anonymous')[-1] / MIB:.0f} MiB (largest {max(series('anonymous')) / MIB:.0f}), "
          f"{memory / 1024:+.1f} KiB a stage over {taught} stages; resident {series('resident')[-1] / MIB:.0f} MiB; "
          f"descriptors {min(series('descriptors'))}–{max(series('descriptors'))}, threads {min(series('threads'))}–{max(series('threads'))}")
    report.check(memory <= MEMORY_A_STAGE and memory * taught <= MEMORY_IN_ALL, f"{name}: anonymous memory grows by {memory:.0f} bytes a stage")
    for key in ("descriptors", "threads"):
        report.check(slope(stages, series(key)) * taught < 1, f"{name}: {key} grow by {slope(stages, series(key)):.4f} a stage")


def judge_run(report, lines, warm_up):
    """One start of the command: all ranks there, after the warm-up."""
    ranks = max(len(line["ranks"]) for line in lines)
    settled = [line for line in lines if len(line["ranks"]) == ranks and line["stages"] >= lines[0]["stages"] + warm_up]
    if len(settled) < FEWEST:
        return 0.0
    hours = (settled[-1]["time"] - lines[0]["time"]) / 3600
    print(f"run {lines[0]['run']}: {hours:.2f} h, stages {lines[0]['stages']} → {lines[-1]['stages']}, judged from stage {settled[0]['stages']} on")
    for index in range(ranks):
        judge_rank(report, f"run {lines[0]['run']} rank {index}", settled, index)
    shared = [line["shm"] for line in settled]
    report.check(slope(range(len(shared)), shared) * len(shared) <= SHARED_IN_ALL, f"/dev/shm grows: {shared[0]} → {shared[-1]} bytes")
    return hours


def judge_store(report, retain, store):
    """Every byte of a stage's file is one that `store show` says it costs, and no file is nobody's."""
    stages = sorted(path.stem for path in (store / "stages").glob("*.h5"))
    shown = stages[::max(1, len(stages) // STAGES_SHOWN)]
    explained = {stage: json.loads(harness.run(retain, "store", "show", store, stage, "--json").stdout) for stage in shown}
    for stage, cost in explained.items():
        size = (store / "stages" / f"{stage}.h5").stat().st_size
        report.check(size == cost["file_bytes"], f"the file of stage {stage} holds {size} bytes, store show explains {cost['file_bytes']}")
    own = sum(cost["own_bytes"] for cost in explained.values()) / max(1, sum(cost["file_bytes"] for cost in explained.values()))
    found, results = folder_bytes(store / "stages"), folder_bytes(store / "results")
    rest = folder_bytes(store) - found - results
    print(f"store: {len(stages)} stages, {found / MIB:.1f} MiB in their files, "
          f"{100 * own:.1f} % of it tensors (by `store show` of {len(shown)}); results {results / MIB:.1f} MiB ({results / max(1, len(stages)) / 1024:.0f} KiB a stage), all else {rest / MIB:.1f} MiB")
    stray = [path.name for path in (store / "stages").iterdir() if path.stem not in stages]
    report.check(not stray, f"files among the stages that no stage is: {stray[:5]}")
    report.check(results <= RESULTS_A_STAGE * len(stages), f"results take {results} bytes for {len(stages)} stages")
    leftovers = [str(path) for path in (store / "temporary").glob("*")] if (store / "temporary").is_dir() else []
    report.check(not leftovers, f"left behind: {leftovers[:5]}")


def judge(options):
    report = harness.Report()
    runs = {}
    for line in read(options.samples):
        runs.setdefault(line["run"], []).append(line)
    hours = [judge_run(report, lines, options.warm_up) for run, lines in runs.items()
             if options.run in (None, run) and any(line["ranks"] for line in lines)]
    report.check(any(hours), f"no run of {FEWEST} samples after its first {options.warm_up} stages")
    judge_store(report, options.retain, options.store)
    report.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    modes = parser.add_subparsers(dest="mode", required=True)
    watching = modes.add_parser("watch")
    watching.add_argument("samples", type=pathlib.Path)
    watching.add_argument("store", type=pathlib.Path)
    watching.add_argument("--every", type=float, default=60, help="seconds")
    judging = modes.add_parser("judge")
    judging.add_argument("samples", type=pathlib.Path)
    judging.add_argument("retain", type=pathlib.Path)
    judging.add_argument("store", type=pathlib.Path)
    judging.add_argument("--warm-up", type=int, default=45, help="stages of each run that are not judged: caches fill")
    judging.add_argument("--run", type=int, help="judge this start of the command alone")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:cut])
    options.command = words[cut + 1:]
    if options.mode == "watch":
        sys.exit(watch(options) if options.command else "soak.py watch: no command after --")
    judge(options)


main()
