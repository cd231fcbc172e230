# SPDX-License-Identifier: Apache-2.0
"""The tiny world's study in small, and the watch kept over it: tiny_study.py RETAIN MAKE_WORLD.

The experiment file plans what its head says; a few of its branches run under `soak.py watch`; `soak.py judge` passes a level run and
refuses one that grows; the summary says how many stages it rests on.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import harness

RETAIN, MAKE_WORLD = sys.argv[1:]
SOAK = ROOT / "tests" / "soak.py"
MIB = 2**20
RECIPES, ORDERS, SEEDS, TASKS = 19, 3, 3, 5


def lay_out(root):
    """The example beside a small world, as in the source tree."""
    tiny = root / "examples" / "tiny"
    shutil.copytree(ROOT / "examples" / "tiny", tiny)
    subprocess.run([MAKE_WORLD, "--out", root / "build" / "tiny" / "world", "--digits", tiny / "digits.txt", "--study", "--skill", "48", "--test", "6"],
                   check=True, capture_output=True, timeout=120)
    return tiny


def check_plan(report, tiny):
    plan = json.loads(harness.run(RETAIN, "run", tiny / "study.toml", "--dry-run", "--json").stdout)["study"]
    report.check(len(plan["branches"]) == RECIPES * ORDERS * SEEDS, f"{len(plan['branches'])} branches")
    report.check(plan["distinct"] == RECIPES * ORDERS * SEEDS * TASKS, f"{plan['distinct']} stages")


def run_short(report, root, tiny):
    """Two recipes, one order, one seed, three steps a stage."""
    (tiny / "short.toml").write_text('base = "study.toml"\n[study]\nseeds = [0]\norders = "given"\n'
                                     '[[recipe]]\nfile = "study_recipes.toml"\nonly = ["llm", "moe"]\n')
    steps = [f"--set=task.{i}.max_steps=3" for i in range(TASKS)]
    samples, store = root / "samples.jsonl", root / "build" / "tiny" / "study-store"
    command = harness.launcher(2) + [RETAIN, "run", tiny / "short.toml", *steps]
    done = subprocess.run([sys.executable, SOAK, "watch", samples, store, "--every", "0.2", "--", *command], env=harness.ENVIRONMENT, text=True,
                          capture_output=True, timeout=250)
    if done.returncode != 0:
        sys.exit(f"the short study ended with {done.returncode}:\n{done.stderr[-2000:]}")
    lines = [json.loads(line) for line in samples.read_text().splitlines()]
    whole = [line for line in lines if len(line["ranks"]) == 2]
    report.check(len(whole) > 3, f"{len(whole)} samples of two ranks")
    report.check(all(rank["descriptors"] > 3 and rank["anonymous"] > MIB and rank["threads"] > 0 for line in whole[len(whole) // 2:] for rank in line["ranks"]), "samples")
    report.check(all(a["stages"] <= b["stages"] for a, b in zip(lines, lines[1:])), "stages vanish")
    return store


def check_summary(report, store, root):
    harness.run(RETAIN, "report", store, "--study", "-o", root / "study.md")
    text = (root / "study.md").read_text()
    report.check("rests on 15 stages in 3 runs, 3 of them with all 5 stages" in text, f"what it rests on: {text[:600]}")  # moe is read in two ways
    report.check("| Tuning the whole language model learns the targets | llm |" in text, "llm is judged")
    report.check("does better than moe" in text and "| sa_proj does better than moe (learning and held-out change together) | – | – | not measured |" in text,
                 "what is missing is said")


def judged(store, samples, lines):
    samples.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return subprocess.run([sys.executable, SOAK, "judge", samples, RETAIN, store, "--warm-up", "15"], text=True, capture_output=True, timeout=120)


def made_up(minutes, memory=lambda m: 0, descriptors=lambda m: 0, shm=lambda m: 0):
    """A run of a stage a minute; each growth by minute."""
    noise = lambda m: (m * 7919 % 13) * MIB  # caches and buffers that come and go
    rank = lambda m, pid: {"pid": pid, "anonymous": 300 * MIB + noise(m) + memory(m), "resident": 400 * MIB, "threads": 4, "descriptors": 20 + descriptors(m)}
    return [{"time": 60 * m, "run": 1, "stages": m, "stage_bytes": m, "result_bytes": m, "store_bytes": 2 * m, "shm": shm(m),
             "ranks": [rank(m, 1), rank(m, 2)]} for m in range(minutes)]


def check_judge(report, store, samples):
    level = judged(store, samples, made_up(120))
    report.check(level.returncode == 0, f"a level run is refused:\n{level.stdout}{level.stderr}")
    for what, lines in {"memory": made_up(120, memory=lambda m: m * MIB // 3), "descriptors": made_up(120, descriptors=lambda m: m // 20),
                        "/dev/shm": made_up(120, shm=lambda m: m * MIB), "no run": made_up(10)}.items():
        found = judged(store, samples, lines)
        report.check(found.returncode == 1 and what in found.stdout + found.stderr, f"{what}: ended with {found.returncode}\n{found.stdout}{found.stderr}")
    stray = store / "stages" / "stray.bin"
    stray.write_bytes(b"x" * 1000)
    found = judged(store, samples, made_up(120))
    report.check(found.returncode == 1 and "stray.bin" in found.stdout + found.stderr, f"a stray file passes\n{found.stdout}")
    stray.unlink()


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        tiny = lay_out(root)
        check_plan(report, tiny)
        store = run_short(report, root, tiny)
        check_summary(report, store, root)
        check_judge(report, store, root / "made-up.jsonl")
    report.end()


main()
