# SPDX-License-Identifier: Apache-2.0
"""What a run remembers and what makes it forget: memo.py RETAIN.

The same run again teaches nothing, on any number of ranks; one pixel changed in a picture of the same name teaches the stage and
answers the benchmark again; the picture put back finds the first results again. A picture that is gone is refused as ever.
"""
import json
import os
import pathlib
import re
import shutil
import struct
import sys
import tempfile
import zlib

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN = sys.argv[1]


def change_last_pixel(path):
    """Writes a PNG again with one bit of its last pixel turned, the file's times as before."""
    times = os.stat(path)
    data = path.read_bytes()
    chunks, at = [], 8
    while at < len(data):
        length = struct.unpack(">I", data[at:at + 4])[0]
        chunks.append((data[at + 4:at + 8], data[at + 8:at + 8 + length]))
        at += 12 + length
    pixels = bytearray(zlib.decompress(b"".join(body for name, body in chunks if name == b"IDAT")))
    pixels[-1] ^= 1
    written, out = False, data[:8]
    for name, body in chunks:
        if name == b"IDAT":
            if written:
                continue
            body, written = zlib.compress(bytes(pixels)), True
        out += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    path.write_bytes(out)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def rescoring(report, store, stage):
    """Answers are kept whole: scored again without a model, by any metric and mode."""
    def score(*arguments, check=True):
        done = harness.run(RETAIN, "score", store, *arguments, check=check)
        return [json.loads(line) for line in done.stdout.splitlines()] if check else done

    lines = score()
    report.check(len(lines) == 2 and all(line["score"] == line["kept"] and line["samples"] == 2 for line in lines),
                 f"the base's and the stage's answers score as they did: {lines}")
    (line,) = score("--stage", "sa_proj", "--answers")
    report.check(line["stage"] == stage and line["metric"] == "exact_match" and len(line["answers"]) == 2, f"one stage: {line}")
    (again,) = score("--stage", stage, "--metric", "anls", "--mode", "faithful", "--benchmark", "answers", "--answers")
    for answer in again["answers"]:
        fed = json.dumps({"prediction": answer["prediction"], "references": answer["references"]})
        done = harness.run(RETAIN, "score", "--metric", "anls", "--mode", "faithful", stdin=fed + "\n")
        report.check(json.loads(done.stdout)["score"] == answer["score"], f"scored alone: {answer}")
    report.check(abs(again["score"] - sum(a["score"] for a in again["answers"]) / 2) < 1e-12, "the mean of the samples")
    lines = score("--metric", "yes_no", "--answers")
    report.check(len(lines) == 2 and all(line["score"] is None and line["samples"] == 0 and line["kept"] is not None and
                                         all(answer["score"] is None for answer in line["answers"]) for line in lines),
                 f"no question that is answered by yes or no is null, not the end: {lines}")
    cut = json.dumps({"prediction": "ab", "references": ["ab\0c"]})
    done = harness.run(RETAIN, "score", "--metric", "exact_match", stdin=cut + "\n")
    report.check(json.loads(done.stdout)["score"] == 0, f"a reference does not end at U+0000: {done.stdout}")
    for arguments, kind in ((["--benchmark", "nobody"], "data_empty"), (["--metric", "anl"], "config_invalid"),
                            (["--stage", "nowhere"], "store_unknown_stage")):
        done = score(*arguments, check=False)
        report.check(done.returncode == 1 and f"[{kind}]" in done.stderr and done.stdout == "", f"{arguments}: {done.stderr}")


def reporting(report, folder):
    """The page and the summary are made from the same kept answers; a store without a study is refused."""
    store, page, summary = folder / "store", folder / "page.html", folder / "study.md"
    study = json.loads((store / "study.json").read_text())
    base, last = study["base"]["scores"]["answers"], study["branches"][0]["stages"][-1]["scores"]["answers"]
    harness.run(RETAIN, "report", store, "-o", page)
    cells = re.findall(r'id="changes">.*?<tr><td>sa_proj</td><td data-value="([^"]*)" data-low="([^"]*)" data-high="([^"]*)">', page.read_text(), re.S)
    report.check(len(cells) == 1 and abs(float(cells[0][0]) - 100 * (last - base)) < 1e-9 and float(cells[0][1]) <= float(cells[0][2]),
                 f"the change of the benchmark, with an interval: {cells}")
    harness.run(RETAIN, "report", store, store, "--study", "-o", summary)
    text = summary.read_text()
    report.check("The paper's findings at this scale" in text and f"{study['title']} (2)" in text, f"two stores in one summary: {text[:400]}")
    (folder / "empty").mkdir()
    refused = harness.run(RETAIN, "report", folder / "empty", check=False)
    report.check(refused.returncode == 1 and "[store_invalid]" in refused.stderr, f"no store: {refused.stderr}")


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        data = folder / "data"
        shutil.copytree(harness.RUN, data)
        experiment = folder / "e.toml"
        experiment.write_text(f'''[model]
path = "{harness.MODEL / 'hub'}"
[train]
learning_rate = 1e-3
global_batch = 2
max_steps = 2
[[recipe]]
name = "sa_proj"
[[task]]
name = "only"
train = "data/records.jsonl"
[[benchmark]]
name = "answers"
data = "data/records.jsonl"
max_new_tokens = 2
limit = 2
[store]
path = "store"
''')

        def stages():
            return sorted(path.name for path in (folder / "store" / "stages").iterdir())

        def results():
            return sorted(path.name for path in (folder / "store" / "results").iterdir())

        def branch():
            study = json.loads((folder / "store" / "study.json").read_text())
            return study["branches"][0]["stages"][0]["stage"]

        harness.run(RETAIN, "run", experiment)
        first = (stages(), results(), branch())
        report.check(len(first[0]) == 2, f"the base and one stage: {first[0]}")
        for ranks in (1, 2):
            again = harness.run(RETAIN, "run", experiment, ranks=ranks)
            report.check((stages(), results(), branch()) == first, f"the same run again on {ranks} rank(s) did not find its results")
            report.check("taught before" in again.stderr, f"the log does not say that nothing was taught: {again.stderr}")

        rescoring(report, folder / "store", first[2])
        reporting(report, folder)
        for pointer in (folder / "store" / "results").glob("answered-*.json"):
            pointer.unlink()  # as a run leaves them that ends before it has written them
        harness.run(RETAIN, "run", experiment, ranks=2)
        experiment.write_text(experiment.read_text().replace("max_new_tokens = 2", 'max_new_tokens = 2\nmetric = "anls"'))
        changed_metric = harness.run(RETAIN, "run", experiment, ranks=2)
        report.check("loading" not in changed_metric.stderr and len(results()) == len(first[1]) + 2 and stages() == first[0],
                     "another metric scores the answers again: " + changed_metric.stderr)
        refused = harness.run(RETAIN, "run", experiment, "--set", "benchmark.0.metric=yes_no", check=False)
        report.check(refused.returncode == 1 and "[data_empty]" in refused.stderr and "answers" in refused.stderr,
                     f"a metric that speaks of no question: {refused.stderr}")
        experiment.write_text(experiment.read_text().replace('\nmetric = "anls"', ""))
        for path in (folder / "store" / "results").iterdir():
            if path.name not in first[1]:
                path.unlink()

        name = json.loads((data / "records.jsonl").read_text().splitlines()[0])["image"]
        picture = data / name
        before = picture.read_bytes()
        change_last_pixel(picture)
        report.check(picture.read_bytes() != before, "the picture was not changed")
        harness.run(RETAIN, "run", experiment, ranks=2)
        report.check(len(stages()) == 3 and branch() != first[2], "a changed picture did not teach the stage again")
        report.check(len(results()) > len(first[1]) + 1, "a changed picture did not answer the benchmark again")
        changed = (stages(), results())

        picture.write_bytes(before)
        harness.run(RETAIN, "run", experiment)
        report.check((stages(), results()) == changed and branch() == first[2], "the old picture did not find the old results")

        picture.unlink()
        refused = harness.run(RETAIN, "run", experiment, check=False)
        report.check(refused.returncode == 1 and "data_missing_image" in refused.stderr, f"a missing picture: {refused.stderr}")
    report.end()


main()
