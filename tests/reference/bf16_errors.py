# SPDX-License-Identifier: Apache-2.0
"""How far transformers' own bfloat16 logits are from its float32 ones: bf16_errors.py FOLDER…, run by hand.

FOLDER is one of tests/fixtures/models. Writes FOLDER/bf16.json: for each case the root of the mean square difference over the
rows of logits that the case keeps. tests/models/family_parity_test.cpp bounds Retain's bfloat16 by 1.5 times these.
"""
import json
import pathlib
import sys

import torch
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

MODEL_INPUTS = ("input_ids", "attention_mask", "pixel_values", "image_sizes", "image_grid_thw", "mm_token_type_ids")


def errors(folder):
    source = next(folder / name for name in ("hub", "hf") if list((folder / name).glob("*.safetensors")))
    model = AutoModelForImageTextToText.from_pretrained(source, dtype=torch.bfloat16).eval()
    found = {}
    for name, case in json.loads((folder / "manifest.json").read_text())["cases"].items():
        inputs = load_file(folder / case["inputs"] if "/" in case["inputs"] else folder / "cases" / case["inputs"])
        expected = load_file(folder / "cases" / case["expected"])
        given = {key: inputs[key] for key in MODEL_INPUTS if key in inputs}
        with torch.no_grad():
            logits = model(**given).logits.float().flatten(0, 1)
        rows = expected["logits_row_index"]
        real = inputs["attention_mask"].flatten()[rows] == 1
        difference = logits[rows[real]] - expected["logits_rows"][real]
        found[name] = difference.square().mean().sqrt().item()
    return found


torch.manual_seed(0)
for argument in sys.argv[1:]:
    where = pathlib.Path(argument)
    figures = errors(where)
    print(where.name, figures)
    (where / "bf16.json").write_text(json.dumps(figures, indent=1) + "\n")
