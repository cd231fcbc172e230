# SPDX-License-Identifier: Apache-2.0
"""Curricula of 10, 20 and 50 tasks out of a world of records: long_curriculum.py RETAIN.

No record is taught twice, a task's records have its answers alone, and the experiment file is one that `retain run` can plan.
"""
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "support"))
import harness

RETAIN = sys.argv[1]
SCRIPT = ROOT.parent / "examples" / "long_curriculum" / "make_curriculum.py"
ANSWERS = {"species": 9, "count": 4, "digits": 10}


def make_world(folder):
    for part, records in (("train", 800), ("test", 40)):
        (folder / part).mkdir(parents=True)
        shutil.copy(next(harness.IMAGES.glob("*.png")), folder / part / "p.png")
        for skill, answers in ANSWERS.items():
            lines = [json.dumps({"id": f"{skill}/{i}", "image": "p.png", "conversations": [{"from": "human", "value": "<image>\nwhat?"},
                                 {"from": "gpt", "value": f"{skill}{i % answers}"}]}) for i in range(records)]
            (folder / part / f"{skill}.jsonl").write_text("\n".join(lines) + "\n")


def make(world, out, tasks):
    return subprocess.run([sys.executable, SCRIPT, world, out, "--tasks", str(tasks)], capture_output=True, text=True)


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as scratch:
        world = pathlib.Path(scratch) / "world"
        make_world(world)
        for tasks in (10, 20, 50):
            out = pathlib.Path(scratch) / str(tasks)
            made = make(world, out, tasks)
            report.check(made.returncode == 0, f"{tasks} tasks: {made.stderr}")
            taught = []
            for file in (out / "train").iterdir():
                records = [json.loads(line) for line in file.read_text().splitlines()]
                taught += [record["id"] for record in records]
                report.check(1 <= len({record["conversations"][-1]["value"] for record in records}) <= 2, f"{file.name}: answers")
            report.check(len(taught) == len(set(taught)), f"{tasks} tasks: a record is taught twice")
            plan = json.loads(harness.run(RETAIN, "run", out / "curriculum.toml", "--dry-run", "--config-only", "--json").stdout)
            report.check(len(plan["tasks"]) == tasks and plan["study"]["stages"] == 3 * tasks, f"{tasks} tasks: {len(plan['tasks'])}")
            again = pathlib.Path(scratch) / f"{tasks}-again"
            make(world, again, tasks)
            report.check((again / "curriculum.toml").read_text() == (out / "curriculum.toml").read_text(), "the same arguments, another curriculum")
        none = make(world, pathlib.Path(scratch) / "many", 500)
        report.check(none.returncode == 1 and "fewer tasks" in none.stderr, f"too many tasks: {none.stderr}")
    report.end()


main()
