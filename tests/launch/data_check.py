# SPDX-License-Identifier: Apache-2.0
"""`retain data check`: what it counts, what it names, and that runs find the lengths it keeps: data_check.py RETAIN.
"""
import json
import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN = sys.argv[1]
MODEL = harness.MODEL / "hub"
RECORDS = harness.RUN / "records.jsonl"


def check(*arguments, ranks=1, status=0, report=None):
    done = harness.run(RETAIN, "data", "check", *arguments, "--json", ranks=ranks, check=False)
    report.check(done.returncode == status, f"{arguments} ended with {done.returncode}: {done.stderr}{done.stdout[:300]}")
    return json.loads(done.stdout) if done.stdout else []


def counted(report, folder):
    """Lengths equal what the tokenizer and the step log say, on any number of ranks."""
    experiment = folder / "e.toml"
    experiment.write_text(f'''[model]
path = "{MODEL}"
[train]
global_batch = 1
micro_batch = 1
shuffle = false
max_length = 100000
[[recipe]]
name = "sa_qkv"
[[task]]
name = "t"
train = "{RECORDS}"
[[benchmark]]
name = "b"
data = "{RECORDS}"
max_new_tokens = 1
limit = 1
[store]
path = "store"
''')
    one, two = (check(experiment, ranks=ranks, report=report) for ranks in (1, 2))
    report.check(one == two, "two ranks find what one finds")
    task, benchmark = one
    lengths = json.loads(pathlib.Path(task["lengths"]).read_text())
    harness.run(RETAIN, "run", experiment, "--log", folder / "log.jsonl")
    steps = [json.loads(line)["tokens"] for line in (folder / "log.jsonl").read_text().splitlines()]
    report.check(steps == lengths["tokens"], f"the lengths kept are those of the steps: {lengths['tokens']} {steps}")
    ordered = sorted(steps)
    expected = {"min": ordered[0], "mean": statistics.fmean(steps), "p50": ordered[(len(steps) + 1) // 2 - 1], "max": ordered[-1], "total": sum(steps),
                "p90": ordered[-(-len(steps) * 9 // 10) - 1], "p99": ordered[-(-len(steps) * 99 // 100) - 1]}
    report.check(task["tokens"] == expected, f"statistics: {task['tokens']} {expected}")
    report.check(task["records"] == len(steps) and task["bad"] == [] and task["over_length"] == 0, f"all usable: {task}")
    report.check(benchmark["tokens"]["max"] < task["tokens"]["max"] and benchmark["records"] == len(steps), "questions are shorter by their answers")

    kept = pathlib.Path(task["lengths"])
    report.check(list((folder / "store" / "lengths").iterdir()) == [kept], "the run asked for the lengths under the same name")
    kept.write_text(json.dumps({"tokens": [7] * len(steps), "answers": lengths["answers"]}))
    again = harness.run(RETAIN, "run", experiment, "--set", "train.max_length=6", check=False)
    report.check(again.returncode == 1 and "over-length" in again.stderr, f"a run believes the lengths kept: {again.stderr}")
    kept.write_text("damaged")
    harness.run(RETAIN, "run", experiment, "--set", "train.learning_rate=1e-4", "--log", folder / "log.jsonl")
    report.check(json.loads(kept.read_text()) == lengths, "damaged lengths are counted and kept anew")

    shorter = check(experiment, "--set", f"train.max_length={ordered[-1] - 1}", report=report)[0]
    report.check(shorter["over_length"] == ordered.count(ordered[-1]), f"over-length records are counted: {shorter['over_length']}")


def bad_ones(report, folder):
    """Every bad record is named with its kind, and the status says so."""
    good = json.loads(RECORDS.read_text().splitlines()[0])
    whole = (harness.RUN / good["image"]).read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "good.png").write_bytes(whole)
    turns = [{"from": "human", "value": "<image>\nq"}, {"from": "gpt", "value": "a"}]
    lines = [{"id": "good", "image": "good.png", "conversations": turns}, {"id": "gone", "image": "gone.png", "conversations": turns},
             {"id": "cut", "image": "cut.png", "conversations": turns}, {"id": "mute", "image": "good.png", "conversations": turns[:1]},
             {"id": "blind", "conversations": turns}, {"id": "odd", "image": "good.png", "conversations": "?"}]
    (folder / "some.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines) + "not json\n")
    for arguments in ([], ["--model", MODEL]):
        (found,) = check(folder / "some.jsonl", *arguments, status=1, report=report)
        kinds = [bad["kind"] for bad in found["bad"]]
        report.check(kinds[0] == "data_missing_image" and kinds[1] in ("image_truncated", "image_corrupt") and
                     kinds[2:] == ["data_no_answer", "data_image_count", "data_invalid", "data_invalid"], f"kinds: {found['bad']}")
        report.check([bad["where"][-8:] for bad in found["bad"]] == [f"record {i}" for i in range(1, 7)], f"places: {found['bad']}")
        report.check(found["records"] == 7 and (found["tokens"]["max"] > 0) == bool(arguments), f"the good one is measured: {found}")
    (found,) = check(folder / "some.jsonl", "--headers", status=1, report=report)
    report.check(len(found["bad"]) == 5, "headers alone do not show that pixels are missing")
    text = harness.run(RETAIN, "data", "check", folder / "some.jsonl", check=False).stdout
    report.check("7 records, 6 bad" in text and "record 6 [data_invalid]" in text, text)
    for path, kind in ((folder / "absent.jsonl", "io"), (folder / "some.txt", "data_invalid")):
        done = harness.run(RETAIN, "data", "check", path, check=False)
        report.check(done.returncode == 1 and f"[{kind}]" in done.stderr, f"{path}: {done.stderr}")
    (folder / "none.toml").write_text("[train]\nseed = 1\n")
    done = harness.run(RETAIN, "data", "check", folder / "none.toml", check=False)
    report.check(done.returncode == 1 and "names no data" in done.stderr, done.stderr)


def single_files(report, folder):
    """A file of one benchmark or task alone."""
    (folder / "rows.csv").write_text("question,answer,image_path\nq,a,good.png\nr,b,good.png\n")
    (folder / "one.toml").write_text('[benchmark]\nname = "one"\ndata = "rows.csv"\n[benchmark.source]\nimage = "image_path"\n')
    (found,) = check(folder / "one.toml", "--model", MODEL, report=report)
    report.check(found["kind"] == "benchmark" and found["records"] == 2 and found["pictures"]["total"] == 2 and found["visual_tokens"]["min"] > 0, str(found))


def main():
    report = harness.Report()
    for part in (counted, bad_ones, single_files):
        with tempfile.TemporaryDirectory() as scratch:
            if part is single_files:
                record = json.loads(RECORDS.read_text().splitlines()[0])
                (pathlib.Path(scratch) / "good.png").write_bytes((harness.RUN / record["image"]).read_bytes())
            part(report, pathlib.Path(scratch))
    report.end()


main()
