# SPDX-License-Identifier: Apache-2.0
"""An exported directory loads in Hugging Face transformers and gives the logits that `retain forward` gives.

check_transformers.py RETAIN MODEL_DIR RECORDS.jsonl    (needs torch and transformers; text-only records)
"""
import json
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file
from transformers import LlavaOnevisionForConditionalGeneration

retain, directory, records = sys.argv[1:4]
with tempfile.TemporaryDirectory() as scratch:
    out = f"{scratch}/forward.safetensors"
    subprocess.run([retain, "forward", "--model", directory, "--input", records, "--out", out], check=True)
    ours = load_file(out)
model = LlavaOnevisionForConditionalGeneration.from_pretrained(directory, dtype=torch.float32).eval()
largest = 0.0
for index, line in enumerate(open(records)):
    if json.loads(line).get("image"):
        sys.exit("text-only records, please: pictures need the reference processor")
    with torch.no_grad():
        theirs = model(input_ids=ours[f"{index}.input_ids"][None]).logits[0]
    largest = max(largest, (theirs - ours[f"{index}.logits"]).abs().max().item())
print(f"largest difference of logits: {largest:.3g}")
sys.exit(0 if largest <= 5e-5 else 1)
