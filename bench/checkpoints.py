# SPDX-License-Identifier: Apache-2.0
"""Saving and loading 3 GiB on two ranks, digests and fsync included, loading from a cold cache: Retain, torch's distributed
checkpoint, safetensors (one rank) and the disk itself (direct I/O, one process), in turns; a Markdown table.

    bench/checkpoints.py --peers DIR --python PY --build build/bench [--rounds 3] [--folder DIR]

DIR holds peer_ckpt.py; PY is a Python with torch and safetensors, with torchrun beside it. Nothing is written to DIR.
"""
import argparse
import os
import pathlib
import shutil
import statistics
import tempfile

from peers import run

GIB = 3.0
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("peers", "build"):
        parser.add_argument(f"--{name}", type=pathlib.Path, required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", help="on the disk to measure (default: the temporary folder)")
    options = parser.parse_args()
    program = (options.build / "bench" / "bench_sharded_store").resolve()
    torchrun = pathlib.Path(options.python).parent / "torchrun"
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = pathlib.Path(name)
        shutil.copyfile(options.peers / "peer_ckpt.py", folder / "peer_ckpt.py")
        (folder / "results").mkdir()
        calls = {
            "disk, direct I/O": [options.python, "peer_ckpt.py", "rawdirect", "out.jsonl", 1],
            "Retain, 2 ranks": ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", 2, program, folder, "--rounds", 1],
            "torch.distributed.checkpoint, 2 ranks": [torchrun, "--nproc_per_node", 2, "peer_ckpt.py", "dcp", "out.jsonl", 1],
            "safetensors, 1 process": [options.python, "peer_ckpt.py", "safetensors", "out.jsonl", 1],
        }
        seconds = {call: {"save_s": [], "load_s": []} for call in calls}
        for _ in range(options.rounds):
            for call, command in calls.items():
                said = run(command, ENVIRONMENT, folder)
                for kind, times in seconds[call].items():
                    times.append(said[kind]["median"] if isinstance(said[kind], dict) else statistics.median(said[kind]))
        raw = {kind: statistics.median(times) for kind, times in seconds["disk, direct I/O"].items()}
        print(f"load {os.getloadavg()[0]:.1f}\n\n| | save, s | GiB/s | of the disk | load, s | GiB/s | of the disk |\n|---|---|---|---|---|---|---|")
        for call, kinds in seconds.items():
            cells = []
            for kind, times in kinds.items():
                middle = statistics.median(times)
                cells += [f"{middle:.2f} ({min(times):.2f}-{max(times):.2f})", f"{GIB / middle:.2f}", f"{100 * raw[kind] / middle:.0f} %"]
            print(f"| {call} | " + " | ".join(cells) + " |")


main()
