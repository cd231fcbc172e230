#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Trains the same workloads on Retain and on what a user would run instead, in turns, and prints a Markdown table.

    bench/peers.py --peers DIR --python PY --build build/bench

DIR holds the peers (gen_workloads.py, peer_hf_train.py, peer_tp.py, fakeintel.c); PY is a Python with torch and
transformers, with torchrun beside it. Nothing is written to DIR. The peers get their tuned environment: an allocator
that keeps its pages, transparent huge pages, and a preload that lets MKL take its AVX-512 kernels; Retain gets none of it.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

RECIPES = {"llm": "full_llm", "sa_proj": "sa_proj", "mlp_gate_up": "mlp_gate_up"}
PRECISIONS = {"bf16": "bfloat16", "fp32": "float32"}


def tuned_environment(peers):
    return {
        "MALLOC_MMAP_THRESHOLD_": "8589934592",
        "MALLOC_TRIM_THRESHOLD_": "17179869184",
        "MALLOC_TOP_PAD_": "268435456",
        "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1",
        "LD_PRELOAD": str(peers / "libfakeintel.so"),
    }


def prepare(source, folder, python):
    """A private copy of the peers, with their workloads made and their preload built."""
    peers = folder / "peers"
    shutil.copytree(source, peers, ignore=shutil.ignore_patterns("results"), copy_function=shutil.copyfile)
    for entry in [peers, *peers.rglob("*")]:
        entry.chmod(0o755 if entry.is_dir() else 0o644)
    subprocess.run([python, "gen_workloads.py"], cwd=peers, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", "libfakeintel.so", "fakeintel.c"], cwd=peers, check=True)
    return peers


def run(command, environment, folder):
    """The JSON object on the last line of a program's output."""
    done = subprocess.run([str(word) for word in command], cwd=folder, env={**os.environ, **environment}, text=True,
                          capture_output=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode != 0 or not lines:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(lines[-1])


class Bench:
    def __init__(self, arguments, peers):
        self.arguments = arguments
        self.peers = peers
        self.program = arguments.build.resolve() / "bench" / "bench_train_workload"
        self.torchrun = pathlib.Path(arguments.python).parent / "torchrun"

    def retain(self, workload, recipe, precision, ranks, pure):
        command = [self.program, "--folder", self.peers / "workloads", "--workload", workload, "--recipe", recipe,
                   "--dtype", PRECISIONS[precision], "--steps", self.arguments.steps, "--tensor", ranks]
        if pure:
            command.append("--pure")
        if ranks > 1:
            command = ["mpirun", "--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "-np", ranks, *command]
        return run(command, {"OMP_NUM_THREADS": str(2 // ranks)}, self.peers)

    def peer(self, workload, recipe, precision, ranks):
        options = ["--workload", workload, "--recipe", RECIPES[recipe], "--prec", precision, "--steps", self.arguments.steps,
                   "--tag", "tuned"]
        environment = {**tuned_environment(self.peers), "CUDA_VISIBLE_DEVICES": "", "HF_HUB_OFFLINE": "1"}
        if ranks == 1:
            return run([self.arguments.python, "peer_hf_train.py", *options], environment, self.peers)
        environment["OMP_NUM_THREADS"] = "1"
        return run([self.torchrun, "--nproc_per_node", ranks, "--master_port", self.arguments.port, "peer_tp.py", *options],
                   environment, self.peers)

    def programs(self, workload, recipe, precision, ranks):
        """Name and call of every program of one comparison; the peer is the last."""
        calls = []
        if precision == "bf16":
            calls.append(("Retain, float32 masters and moments", lambda: self.retain(workload, recipe, precision, ranks, False)))
            calls.append(("Retain, bf16 alone", lambda: self.retain(workload, recipe, precision, ranks, True)))
        else:
            calls.append(("Retain", lambda: self.retain(workload, recipe, precision, ranks, False)))
        name = "Hugging Face, tuned" if ranks == 1 else "DTensor tensor parallel, tuned"
        calls.append((name + (", bf16 alone" if precision == "bf16" else ""), lambda: self.peer(workload, recipe, precision, ranks)))
        return calls

    def compare(self, workload, recipe, precision, ranks):
        """Every program in turn, `rounds` times; rows of the table."""
        calls = self.programs(workload, recipe, precision, ranks)
        results = {name: [] for name, _ in calls}
        for _ in range(self.arguments.rounds):
            for name, call in calls:
                results[name].append(call())
                print(f"{workload} {recipe} {precision} {ranks} ranks: {name}: "
                      f"{results[name][-1]['tok_s']['median']:.0f} tokens/s", file=sys.stderr, flush=True)
        limit = max(one["limit_gflops"] for runs in results.values() for one in runs if "limit_gflops" in one)
        peer_speed = speed(results[calls[-1][0]])
        return [row(workload, recipe, precision, ranks, name, results[name], limit, peer_speed) for name, _ in calls]


def speed(runs):
    return statistics.median(one["tok_s"]["median"] for one in runs)


def row(workload, recipe, precision, ranks, name, runs, limit, peer_speed):
    memory = max((one["peak_rss_gb"] for one in runs), key=lambda value: sum(value) if isinstance(value, list) else value)
    memory = " + ".join(f"{value:.2f}" for value in (memory if isinstance(memory, list) else [memory]))
    low, high = min(one["tok_s"]["min"] for one in runs), max(one["tok_s"]["max"] for one in runs)
    useful = statistics.median(one["gflops_useful"]["median"] for one in runs)
    loads = "-".join(sorted({f"{one['load1']:.0f}" for one in runs}, key=float))
    layout = "1 × 2 threads" if ranks == 1 else f"tensor {ranks} × 1 thread"
    return (f"| {workload} | {layout} | {recipe} | {precision} | {name} | {speed(runs):.0f} ({low:.0f}-{high:.0f}) | "
            f"{statistics.median(one['samples_s']['median'] for one in runs):.2f} | "
            f"{statistics.median(one['step_s']['median'] for one in runs):.2f} | {memory} | "
            f"{100 * useful / limit:.0f} % of {limit:.0f} | {speed(runs) / peer_speed:.2f} | {loads} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=pathlib.Path, required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--workloads", default="mid")
    parser.add_argument("--recipes", default="llm,sa_proj,mlp_gate_up")
    parser.add_argument("--precisions", default="bf16")
    parser.add_argument("--ranks", default="1,2", help="1: one process with 2 threads; 2: tensor parallel, 1 thread each")
    parser.add_argument("--rounds", type=int, default=2, help="how often every program runs")
    parser.add_argument("--steps", type=int, default=4, help="timed steps of a run")
    parser.add_argument("--port", type=int, default=29641, help="for torchrun")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="retain-peers-") as folder:
        bench = Bench(arguments, prepare(arguments.peers, pathlib.Path(folder), arguments.python))
        print("| workload | layout | recipe | precision | program | tokens/s (range) | samples/s | s/step | peak RSS GB | "
              "useful GFLOP/s | ratio | load |\n" + "|---" * 12 + "|", flush=True)
        for workload in arguments.workloads.split(","):
            for ranks in map(int, arguments.ranks.split(",")):
                for precision in arguments.precisions.split(","):
                    for recipe in arguments.recipes.split(","):
                        print("\n".join(bench.compare(workload, recipe, precision, ranks)), flush=True)


if __name__ == "__main__":
    main()
