# SPDX-License-Identifier: Apache-2.0
"""`retain init-model`: the same seed gives the same files, the result runs, and a full folder is left alone.

init_model.py RETAIN
"""
import json
import math
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN = sys.argv[1]
HUB = harness.FIXTURES / "models" / "llava_onevision" / "hub"


def make(out, *arguments, config=HUB / "config.json", ranks=1):
    done = harness.run(RETAIN, "init-model", "--config", config, "--out", out, *arguments, ranks=ranks)
    return json.loads(done.stdout)


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(pathlib.Path(folder).rglob("*")) if p.is_file()}


def check_files(report, folder):
    stated = make(folder / "a", "--seed", 7)
    report.check(stated["parameters"] == 128096 and stated["dtype"] == "float32", f"it stated {stated}")
    make(folder / "b", "--seed", 7, ranks=2)
    make(folder / "c", "--seed", 8)
    report.check(contents(folder / "a") == contents(folder / "b"), "one seed gave two models")
    report.check(contents(folder / "a") != contents(folder / "c"), "two seeds gave one model")
    refused = harness.run(RETAIN, "init-model", "--config", HUB / "config.json", "--out", folder / "a", check=False)
    report.check(refused.returncode == 1 and "not empty" in refused.stderr, f"a full folder: {refused.stderr}")
    report.check(contents(folder / "a") == contents(folder / "b"), "a full folder was changed")


def check_options(report, folder):
    bare = folder / "bare"
    bare.mkdir()
    shutil.copy(HUB / "config.json", bare / "small.json")
    stated = make(folder / "half", "--dtype", "bfloat16", "--scale", "fan_in", "--shard-bytes", 50000, "--tokenizer", HUB,
                  config=bare / "small.json")
    report.check(stated["dtype"] == "bfloat16", f"it stated {stated}")
    report.check(json.loads((folder / "half" / "config.json").read_text())["torch_dtype"] == "bfloat16", "config.json has another dtype")
    shards = set(json.loads((folder / "half" / "model.safetensors.index.json").read_text())["weight_map"].values())
    report.check(len(shards) > 2 and shards == {p.name for p in (folder / "half").glob("*.safetensors")}, f"shards {shards}")
    report.check((folder / "half" / "tokenizer.json").exists(), "the tokenizer was not copied")


def check_runs(report, folder):
    records = folder / "records.jsonl"
    turns = [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello there."}]
    records.write_text(json.dumps({"id": "r", "conversations": turns}) + "\n")
    for model in ("a", "half"):
        harness.run(RETAIN, "forward", "--model", folder / model, "--input", records, "--out", folder / f"{model}.safetensors")
        loss = harness.read_safetensors(folder / f"{model}.safetensors")["loss"][1][0]
        # Weights this small leave the next token nearly uniform over 352 entries; fan_in spreads the logits a little.
        report.check(abs(loss - math.log(352)) < (0.1 if model == "a" else 2), f"model {model} has loss {loss}")


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        check_files(report, folder)
        check_options(report, folder)
        check_runs(report, folder)
    report.end()


main()
