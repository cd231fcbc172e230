# SPDX-License-Identifier: Apache-2.0
"""Installs Retain, builds examples/own_recipe against it as a stranger would, and runs its study: own_recipe.py RETAIN BUILD SOURCE."""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

BUILD, SOURCE = map(pathlib.Path, sys.argv[2:4])
EXAMPLE = SOURCE / "examples" / "own_recipe"


def step(*command):
    done = subprocess.run(list(map(str, command)), text=True, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def main():
    report = harness.Report()
    lines = len((EXAMPLE / "main.cpp").read_text().splitlines())
    report.check(lines < 100, f"the example has {lines} lines")
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        step("cmake", "--install", BUILD, "--prefix", folder / "installed")
        shutil.copytree(EXAMPLE, folder / "own")
        step("cmake", "-S", folder / "own", "-B", folder / "own" / "build", f"-DCMAKE_PREFIX_PATH={folder / 'installed'}")
        step("cmake", "--build", folder / "own" / "build")
        own = folder / "own" / "build" / "own_retain"
        records = harness.RUN / "records.jsonl"
        arguments = ["run", folder / "own" / "study.toml", "--set", f"model.path={harness.MODEL / 'hub'}", "--set", f"task.0.train={records}",
                     "--set", f"benchmark.0.data={records}", "--log", folder / "log.jsonl"]
        harness.run(own, *arguments, ranks=2)
        study = json.loads((folder / "own" / "store" / "study.json").read_text())
        report.check([branch["recipe"] for branch in study["branches"]] == ["plain", "quiet"], "both recipes are in the study")
        losses = {}
        for line in (folder / "log.jsonl").read_text().splitlines():
            record = json.loads(line)
            losses.setdefault(record["recipe"], []).append(record["loss"])
        report.check(losses["quiet"][0] > losses["plain"][0] + 1e-4, f"the method adds its term: {losses}")
        again = harness.run(own, *arguments)
        report.check("taught before" in again.stderr, "the method is part of what is remembered")
        scored = harness.run(own, "score", "--metric", "mentions", stdin=json.dumps({"prediction": "a red car", "references": ["red"]}) + "\n")
        report.check(json.loads(scored.stdout)["score"] == 1, f"the metric scores single answers: {scored.stdout}")
        refused = harness.run(sys.argv[1], *arguments, check=False)
        report.check(refused.returncode == 1 and "config_invalid" in refused.stderr and "quiet" in refused.stderr,
                     f"the plain command does not know them: {refused.stderr}")
    report.end()


main()
