# SPDX-License-Identifier: Apache-2.0
"""Exported directories load in Hugging Face transformers, give the logits of `retain forward`, and keep every tensor that nothing
trained byte for byte.

check_transformers.py RETAIN                            every model of tests/fixtures/models, from and to every naming
check_transformers.py RETAIN MODEL_DIR RECORDS.jsonl    one directory (text-only records)

Needs torch and transformers.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText
from transformers.utils import logging

MODELS = pathlib.Path(__file__).resolve().parent / "fixtures" / "models"
RETAIN = sys.argv[1]
TEXTS = ["What is two and two?", "Name a colour."]


def retain(*arguments):
    done = subprocess.run([RETAIN, *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"retain {' '.join(map(str, arguments))}: {done.stderr}")


def logits_difference(directory, records, scratch):
    """The largest difference of logits, and what transformers found missing or had no place for."""
    out = pathlib.Path(scratch) / "forward.safetensors"
    retain("forward", "--model", directory, "--input", records, "--out", out)
    ours = load_file(out)
    model, report = AutoModelForImageTextToText.from_pretrained(directory, dtype=torch.float32, output_loading_info=True)
    largest = 0.0
    for index in range(len(pathlib.Path(records).read_text().splitlines())):
        with torch.no_grad():
            theirs = model.eval()(input_ids=ours[f"{index}.input_ids"][None]).logits[0]
        largest = max(largest, (theirs - ours[f"{index}.logits"]).abs().max().item())
    return largest, sorted(report["missing_keys"]) + sorted(report["unexpected_keys"])


def raw_tensors(directory):
    """Every tensor's bytes, by the name in the files."""
    tensors = {}
    for file in sorted(pathlib.Path(directory).glob("*.safetensors")):
        with safe_open(file, "pt") as opened:
            for name in opened.keys():
                value = opened.get_tensor(name)
                tensors[name] = (value.dtype, tuple(value.shape), value.contiguous().view(torch.uint8).numpy().tobytes())
    return tensors


def teach(model, scratch):
    """A store whose branch sa_qkv has learned one step."""
    records = scratch / "records.jsonl"
    lines = [{"id": str(i), "conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": "Yes."}]}
             for i, text in enumerate(TEXTS)]
    records.write_text("".join(json.dumps(line) + "\n" for line in lines))
    experiment = scratch / "experiment.toml"
    experiment.write_text(f'''[model]
path = "{model}"
[train]
learning_rate = 1e-3
schedule = "constant"
warmup_ratio = 0.0
global_batch = 2
max_steps = 1
[[recipe]]
name = "sa_qkv"
[[task]]
name = "text"
train = "{records}"
[store]
path = "store"
''')
    retain("run", experiment)
    return scratch / "store", records


def name_in(naming, memory, names):
    """A tensor's name; where key_names.json lacks a naming, by its rule for models of LLaVA's build."""
    if naming in names or naming == "memory":
        return names.get(naming, memory)
    if naming == "hf":
        return names["hub"].replace("vision_tower.vision_model.", "vision_tower.")
    return memory.replace("model.vision_tower.", "model.vision_tower.vision_model.")


def check_pair(source, target, folder, store, records, scratch):
    """Exports in one naming; returns a line of the table and whether all is well."""
    key_names = json.loads((folder / "key_names.json").read_text())
    out = scratch / f"out-{target}"
    retain("export", store, "sa_qkv", out, "--naming", target)
    before, after = raw_tensors(folder / source), raw_tensors(out)
    kept = changed = wrong = 0
    for memory, names in key_names.items():
        found, expected = name_in(target, memory, names), name_in(source, memory, names)
        if expected not in before:
            continue  # a head that is tied to the embeddings
        trained = "language_model" in memory and any(f".{x}_proj." in memory for x in "qkv")
        same = after.pop(found, None) == before[expected]
        kept, changed, wrong = kept + (same and not trained), changed + (trained and not same), wrong + (trained == same)
    for name in ("tokenizer.json", "preprocessor_config.json", "generation_config.json", "config.json"):
        if source == "orig" and target == "hub" and name in ("config.json", "preprocessor_config.json"):
            continue  # made anew, in the hub's form
        if (folder / source / name).exists() and (folder / source / name).read_bytes() != (out / name).read_bytes():
            wrong += 1
    largest, unexpected = (0.0, []) if target == "orig" else logits_difference(out, records, scratch)
    wrong += len(after) + len(unexpected)
    loads = "not a naming of transformers" if target == "orig" else f"{largest:.1e}"
    print(f"| `{folder.name}` | `{source}` | `{target}` | {kept} | {changed} | {loads} |", flush=True)
    return not wrong and kept and changed and largest <= 5e-5


def check_all():
    print("| Model | from | to | tensors kept byte for byte | trained | logits beside transformers |\n|---|---|---|---|---|---|")
    good = True
    for folder in sorted(path.parent for path in MODELS.glob("*/key_names.json")):
        for source in ("hub", "hf", "orig"):
            if not list((folder / source).glob("*.safetensors")):
                continue
            with tempfile.TemporaryDirectory() as scratch:
                store, records = teach(folder / source, pathlib.Path(scratch))
                for target in ("hub", "orig") if source == "orig" else ("hub", "hf", "v4_52", "memory"):
                    good = check_pair(source, target, folder, store, records, pathlib.Path(scratch)) and good
    return good


logging.set_verbosity_error()
logging.disable_progress_bar()
if len(sys.argv) == 2:
    sys.exit(0 if check_all() else 1)
with tempfile.TemporaryDirectory() as folder_of_one:
    difference, misfits = logits_difference(sys.argv[2], sys.argv[3], folder_of_one)
print(f"largest difference of logits: {difference:.3g}" + (f"; misfits: {misfits}" if misfits else ""))
sys.exit(0 if difference <= 5e-5 and not misfits else 1)
