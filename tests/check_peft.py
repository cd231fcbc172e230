# SPDX-License-Identifier: Apache-2.0
"""Adapters that Retain exports, read by PEFT: check_peft.py RETAIN, run by hand where peft and transformers are installed.

The same stage is taught twice, with its adapters kept and merged. PEFT loads what the first exports onto the base model and merges
it; its weights must equal the second's, and its logits those of the unmerged pair.
"""
import pathlib
import sys
import tempfile

import peft
import torch
from transformers import AutoModelForImageTextToText

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "support"))
import harness

RETAIN = sys.argv[1]

EXPERIMENT = f'''[model]
path = "{harness.MODEL / 'hub'}"
[train]
learning_rate = 1e-2
global_batch = 2
max_steps = 3
[[recipe]]
name = "kept"
train = ["mlp+sa_proj"]
method = "lora"
[recipe.lora]
rank = 4
rslora = true
merge = false
[[recipe]]
name = "merged"
train = ["mlp+sa_proj"]
method = "lora"
[recipe.lora]
rank = 4
rslora = true
[[task]]
name = "skill"
train = "{harness.RUN / 'records.jsonl'}"
[store]
path = "store"
'''


def main():
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        (folder / "e.toml").write_text(EXPERIMENT)
        harness.run(RETAIN, "run", folder / "e.toml")
        harness.run(RETAIN, "export", folder / "store", "kept", folder / "adapter", "--adapter")
        harness.run(RETAIN, "export", folder / "store", "merged", folder / "model")
        load = lambda path: AutoModelForImageTextToText.from_pretrained(path, dtype=torch.float32).eval()
        adapted = peft.PeftModel.from_pretrained(load(harness.MODEL / "hub"), folder / "adapter").eval()
        merged = load(folder / "model")
        ids = torch.arange(5, 25).reshape(1, -1)
        with torch.no_grad():
            logits = (adapted(input_ids=ids).logits - merged(input_ids=ids).logits).abs().max().item()
        weights = adapted.merge_and_unload().state_dict()
        difference = max((weights[name] - value).abs().max().item() for name, value in merged.state_dict().items())
        base = load(harness.MODEL / "hub").state_dict()
        moved = max((base[name] - value).abs().max().item() for name, value in merged.state_dict().items())
        print(f"weights {difference:.2g}, logits {logits:.2g}, moved from the base by {moved:.2g}")
        sys.exit(0 if difference < 1e-6 and logits < 5e-5 and moved > 1e-3 else 1)


main()
