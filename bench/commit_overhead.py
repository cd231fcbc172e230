# SPDX-License-Identifier: Apache-2.0
"""How much longer training takes with a checkpoint every EVERY steps than without: `retain run` on a model of random weights, runs
of both kinds in turns.   bench/commit_overhead.py build/bench/launch/retain [--pairs 6] [--steps 200] [--every 100] [--ranks 2]
A checkpoint holds weights and both moments of all that is trained (recipe full, float32): three times the model.
"""
import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HUB = ROOT / "tests" / "fixtures" / "models" / "llava_onevision" / "hub"
RECORDS = ROOT / "tests" / "fixtures" / "run" / "records.jsonl"
KINDS = {"none": [], "asynchronous": ["store.asynchronous=true"], "synchronous": ["store.asynchronous=false"]}


def make_model(folder, retain, width, layers):
    """The fixture's model, wider and deeper."""
    config = json.loads((HUB / "config.json").read_text())
    config["text_config"].update(hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers)
    config["text_config"].pop("layer_types", None)
    config["text_config"].pop("head_dim", None)
    path = folder / "wide.json"
    path.write_text(json.dumps(config))
    subprocess.run([retain, "-q", "init-model", "--config", path, "--out", folder / "model", "--tokenizer", HUB], check=True)
    return sum(f.stat().st_size for f in (folder / "model").glob("*.safetensors"))


def run(options, folder, kind, number):
    """Wall and processor seconds of one run."""
    store = folder / f"store-{number}-{kind}"
    experiment = folder / "experiment.toml"
    experiment.write_text(f'[model]\npath = "{folder / "model"}"\n[train]\nglobal_batch = 4\nepochs = 1000\nmax_steps = {options.steps}\n'
                          f'[[recipe]]\nname = "full"\n[[task]]\nname = "records"\ntrain = "{RECORDS}"\n[store]\npath = "{store}"\n')
    settings = [f"train.save_every={0 if kind == 'none' else options.every}", *KINDS[kind]]
    command = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(options.ranks)] if options.ranks > 1 else []
    command += [options.retain, "-q", "run", experiment] + [word for setting in settings for word in ("--set", setting)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    subprocess.run(command, check=True, env=dict(os.environ, OMP_NUM_THREADS="1"))
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(["rm", "-rf", store], check=True)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("retain")
    for name, value in (("pairs", 6), ("steps", 200), ("every", 100), ("ranks", 2), ("width", 192), ("layers", 6)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--folder", help="where the stores lie (default: the temporary folder)")
    options = parser.parse_args()
    options.retain = str(pathlib.Path(options.retain).resolve())
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = pathlib.Path(name)
        size = make_model(folder, options.retain, options.width, options.layers)
        seconds = {kind: [] for kind in KINDS}
        for number in range(options.pairs):
            for kind in list(KINDS) if number % 2 else reversed(KINDS):
                seconds[kind].append(run(options, folder, kind, number))
        print(f"model of {size / 2**20:.0f} MiB, {options.steps} steps on {options.ranks} ranks, a checkpoint every {options.every}; load "
              f"{os.getloadavg()[0]:.1f}")
        for kind, times in seconds.items():
            ratios = [100 * (a[0] / b[0] - 1) for a, b in zip(times, seconds["none"])]
            work = [100 * (a[1] / b[1] - 1) for a, b in zip(times, seconds["none"])]
            print(f"{kind:13} {statistics.median(t[0] for t in times):7.2f} s ({min(t[0] for t in times):.2f}), against none: wall time "
                  f"{statistics.median(ratios):+.1f} % ({min(ratios):+.1f} to {max(ratios):+.1f}), processor time {statistics.median(work):+.1f} %")


main()
