# SPDX-License-Identifier: Apache-2.0
"""Every kind of bad input: refused within seconds on all ranks, one message that names the kind, the store as it was.

bad_input.py RETAIN
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN = sys.argv[1]
F = harness.FIXTURES
CHECKPOINTS = {"truncated_safetensors": "checkpoint_truncated", "header_length_too_big": "checkpoint_header_invalid",
               "header_length_too_small": "checkpoint_header_invalid", "header_not_json": "checkpoint_header_invalid",
               "empty_safetensors": "checkpoint_truncated", "offsets_overlap": "checkpoint_header_invalid",
               "missing_shard": "checkpoint_missing_shard", "index_names_absent_tensor": "checkpoint_missing_tensor",
               "wrong_shape": "checkpoint_shape_mismatch", "transposed_weight": "checkpoint_shape_mismatch",
               "nan_weights": "checkpoint_non_finite", "inf_weights": "checkpoint_non_finite",
               "missing_tensor": "checkpoint_missing_tensor", "bad_config_json": "config_invalid",
               "unsupported_arch": "config_unsupported"}
RECORDS = {"missing_image": "data_missing_image", "no_answer": "data_no_answer", "empty_conversation": "data_no_answer",
           "image_token_without_image": "data_image_count", "image_without_token": "data_image_count",
           "unknown_role": "data_unknown_role", "value_not_string": "data_invalid", "not_a_list": "data_invalid",
           "empty_list": "data_empty", "cut": "data_invalid", "bad_utf8": "data_invalid"}


def refused(report, name, kind, *arguments, ranks=1, store=None):
    """One message of that kind, an exit status of 1 to 127, within seconds; `store` (if any) was not touched."""
    before = snapshot(store)
    start = time.monotonic()
    done = harness.run(RETAIN, *arguments, ranks=ranks, check=False, timeout=60)
    where = f"{name} on {ranks} rank(s)"
    report.check(1 <= done.returncode <= 127, f"{where}: exit status {done.returncode}")
    report.check(done.stderr.count(f"[{kind}]") == 1, f"{where}: expected one [{kind}] in:\n{done.stderr}")
    report.check(time.monotonic() - start < 30, f"{where}: took {time.monotonic() - start:.0f} s")
    report.check(done.stdout == "", f"{where}: printed a result: {done.stdout[:200]}")
    report.check(snapshot(store) == before, f"{where}: the store changed")


def snapshot(store):
    if store is None or not pathlib.Path(store).exists():
        return None
    return sorted((str(p), p.stat().st_size) for p in pathlib.Path(store).rglob("*") if p.name != "lock")


def experiment(folder, text, tail=""):
    path = pathlib.Path(folder) / "experiment.toml"
    path.write_text(f'[model]\npath = "{harness.MODEL / "hub"}"\n[store]\npath = "{folder}/store"\n{text}\n{tail}')
    return path


def task(records):
    return f'[train]\nglobal_batch = 1\n[[recipe]]\nname = "sa_qkv"\n[[task]]\nname = "t"\ntrain = "{records}"\n'


def checkpoints_and_records(report, folder):
    done = harness.run(RETAIN, "run", "--dry-run", "--json", "--set", f"model.path={F / 'corrupt_checkpoints' / 'ok_checkpoint'}")
    report.check(json.loads(done.stdout)["parameters"], "the control checkpoint is accepted")
    for name, kind in CHECKPOINTS.items():
        for ranks in [1, 4] if name in ("nan_weights", "missing_shard") else [1]:
            refused(report, name, kind, "run", "--dry-run", "--json", "--set", f"model.path={F / 'corrupt_checkpoints' / name}", ranks=ranks)
    harness.run(RETAIN, "run", experiment(folder, task(F / "records" / "ok.json")), "--dry-run")
    for name, kind in RECORDS.items():
        for ranks in [1, 4] if name == "missing_image" else [1]:
            path = experiment(folder, task(F / "records" / f"{name}.json"))
            refused(report, name, kind, "run", path, ranks=ranks, store=f"{folder}/store")
            refused(report, name, kind, "run", path, "--dry-run", ranks=ranks)
    report.check(not os.path.exists(f"{folder}/store"), "a refused run makes no store")


def unreadable_pixels(report, folder):
    """A picture whose header is whole but whose pixels end early is found when it is decoded."""
    records = pathlib.Path(folder) / "truncated.jsonl"
    turns = [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "A."}]
    good, bad = F / "images" / "corrupt" / "good.png", F / "images" / "corrupt" / "truncated.png"
    records.write_text("".join(json.dumps({"id": str(i), "image": str(p), "conversations": turns}) + "\n" for i, p in enumerate([good, bad, good])))
    text = task(records) + "shuffle = false\n"
    refused(report, "truncated pixels", "image_truncated", "run", experiment(folder, text), ranks=2)
    path = experiment(folder, text, '[data]\nbad_records = "skip"\n')
    done = harness.run(RETAIN, "run", path, "--set", "store.path=" + folder + "/other", "--log", f"{folder}/log")
    report.check("truncated" in done.stderr, "a skipped record is named in the log: " + done.stderr)


def configuration(report, folder):
    path = experiment(folder, task(F / "records" / "ok.json"), "[train2]\nx = 1\n")
    refused(report, "unknown table", "config_invalid", "run", path, "--dry-run", ranks=4)
    path = experiment(folder, task(F / "records" / "ok.json").replace("global_batch", "global_bacth"))
    done = harness.run(RETAIN, "run", path, "--dry-run", check=False)
    report.check("experiment.toml:6" in done.stderr and "global_batch" in done.stderr, "file, line and the nearest key: " + done.stderr)
    path = experiment(folder, task(F / "records" / "ok.json"))
    refused(report, "wrong type", "config_invalid", "run", path, "--set", "train.epochs='two'", "--dry-run")
    refused(report, "mesh that does not divide", "mesh_invalid", "run", path, "--set", "parallel.tensor=3", "--dry-run", ranks=4)
    refused(report, "mesh that does not divide", "mesh_invalid", "run", path, "--set", "parallel.tensor=3", ranks=4, store=f"{folder}/store")
    refused(report, "pattern without a match", "recipe_matches_nothing", "run", path, "--set", "recipe.0.train=['language.layrs.*']", "--dry-run")
    vast = experiment(folder, task(F / "records" / "ok.json").replace("global_batch = 1", "global_batch = 100000000\nmicro_batch = 100000000"))
    for ranks in (1, 2):
        refused(report, "more memory than the machine has", "mesh_invalid", "run", vast, "--set", "recipe.0.train=['llm']", ranks=ranks, store=f"{folder}/store")
    refused(report, "absent file", "io", "run", f"{folder}/nothing.toml")
    report.check(harness.run(RETAIN, "run", "--no-such-flag", check=False).returncode in range(1, 128), "an unknown flag")


def locked_store(report, folder):
    path = experiment(folder, task(F / "records" / "ok.json").replace("global_batch = 1", "global_batch = 1\nepochs = 100000"))
    first = subprocess.Popen([RETAIN, "run", str(path), "--log", f"{folder}/steps"], env=harness.ENVIRONMENT, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while not os.path.exists(f"{folder}/steps") and time.monotonic() < deadline:
            time.sleep(0.05)
        for ranks in (1, 2):
            done = harness.run(RETAIN, "run", path, ranks=ranks, check=False)
            report.check(done.returncode in range(1, 128) and done.stderr.count("[store_locked]") == 1, "locked: " + done.stderr)
    finally:
        first.kill()
        first.wait()


result = harness.Report()
for part in (checkpoints_and_records, unreadable_pixels, configuration, locked_store):
    scratch = tempfile.mkdtemp()
    part(result, scratch)
    shutil.rmtree(scratch)
result.end()
