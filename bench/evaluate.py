# SPDX-License-Identifier: Apache-2.0
"""Evaluation beside a batch-1 generate loop of Hugging Face transformers: same model, same samples, same answers, one run.

bench/evaluate.py --retain BIN --make-world BIN [--model DIR] [--samples N] [--ranks R]

Python needs torch, torchvision, transformers and Pillow. Makes the tiny world's held-out benchmarks, answers them with `retain eval` (R ranks of one thread)
and with `generate(do_sample=False)` one sample at a time (R threads), and compares every answer and the time from the first sample to
the last; loading either model is left out (for Retain: the time of the same command over one sample is taken off).
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

TINY = pathlib.Path(__file__).resolve().parent.parent / "examples" / "tiny"
NAMES = ["shape", "letter", "direction", "size", "kind", "describe", "verify", "exist"]


def experiment(folder, world, model, limit):
    lines = ["[model]", f"path = '{model}'", "[evaluate]", "batch = 100"]
    for name in NAMES:
        entry = (TINY / "benchmarks" / f"{name}.toml").read_text().replace("[benchmark]", "[[benchmark]]")
        lines += [re.sub(r"^data .*$", f"data = '{world}/test/{name}.jsonl'", entry, flags=re.MULTILINE), f"limit = {limit}"]
    path = folder / f"limit{limit}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def ours(arguments, path):
    environment = dict(os.environ, OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")
    launcher = ["mpirun", "--oversubscribe", "--bind-to", "none", "-np", str(arguments.ranks)] if arguments.ranks > 1 else []
    start = time.perf_counter()
    done = subprocess.run([*launcher, arguments.retain, "eval", path, "--answers"], env=environment, check=True, capture_output=True, text=True)
    seconds = time.perf_counter() - start
    return seconds, {line["benchmark"]: [a["prediction"] for a in line["answers"]] for line in map(json.loads, done.stdout.splitlines())}


def theirs(arguments, world):
    import torch
    from PIL import Image
    from transformers import AutoImageProcessor, AutoTokenizer, LlavaOnevisionForConditionalGeneration, LlavaOnevisionProcessor, LlavaOnevisionVideoProcessor
    torch.set_num_threads(arguments.ranks)
    model = LlavaOnevisionForConditionalGeneration.from_pretrained(arguments.model, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(arguments.model)
    side = model.config.vision_config.image_size // model.config.vision_config.patch_size
    pictures = AutoImageProcessor.from_pretrained(arguments.model, backend="pil")
    processor = LlavaOnevisionProcessor(pictures, tokenizer, LlavaOnevisionVideoProcessor(), num_image_tokens=side * side,
                                        vision_feature_select_strategy="full", image_token=tokenizer.convert_ids_to_tokens(model.config.image_token_index))
    samples = [(name, json.loads(line)) for name in NAMES for line in (world / "test" / f"{name}.jsonl").read_text().splitlines()[:arguments.samples]]
    limits = {name: int(re.search(r"max_new_tokens = (\d+)", (TINY / "benchmarks" / f"{name}.toml").read_text())[1]) for name in NAMES}
    answers = {name: [] for name in NAMES}
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")

    def answer(name, record):
        image = Image.open(world / "test" / record["image"]).convert("RGB")
        question = record["conversations"][0]["value"].replace("<image>", processor.image_token)
        prompt = ("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n" + question
                  + "<|im_end|>\n<|im_start|>assistant\n")
        inputs = processor(images=image, text=prompt, return_tensors="pt")
        with torch.inference_mode():
            ids = model.generate(**inputs, do_sample=False, max_new_tokens=limits[name], eos_token_id=end, pad_token_id=end)
        return tokenizer.decode(ids[0, inputs["input_ids"].shape[1]:], skip_special_tokens=True)

    for name, record in samples[:3]:
        answer(name, record)  # warm
    start = time.perf_counter()
    for name, record in samples:
        answers[name].append(answer(name, record))
    return time.perf_counter() - start, answers


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--retain", required=True)
    parser.add_argument("--make-world", required=True)
    parser.add_argument("--model", default=str(TINY / "base"))
    parser.add_argument("--samples", type=int, default=50, help="of each benchmark")
    parser.add_argument("--ranks", type=int, default=1, choices=[1, 2])
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        world = folder / "world"
        subprocess.run([arguments.make_world, "--out", world, "--digits", TINY / "digits.txt", "--skill", "1", "--test", str(arguments.samples)],
                       check=True, capture_output=True)
        idle, _ = ours(arguments, experiment(folder, world, arguments.model, 1))
        whole, mine = ours(arguments, experiment(folder, world, arguments.model, arguments.samples))
        loop, other = theirs(arguments, world)
    count = sum(map(len, mine.values()))
    same = sum(a.strip() == b.strip() for name in NAMES for a, b in zip(mine[name], other[name]))
    rate, reference = (count - len(NAMES)) / (whole - idle), count / loop
    print(f"{count} samples, {arguments.ranks} x 1 thread: retain eval {rate:.1f} samples/s ({whole:.2f} s with start-up {idle:.2f} s), "
          f"generate loop {reference:.2f} samples/s ({loop:.1f} s): {rate / reference:.1f} times; {same} of {count} answers the same")
    sys.exit(0 if same == count and rate >= 10 * reference else 1)


main()
