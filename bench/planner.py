# SPDX-License-Identifier: Apache-2.0
"""What `retain plan` says a rank needs beside the most that a rank of `retain run` held, beyond what it held before it loaded
anything (as the run itself reports at a stage's end): a Markdown table.

    bench/planner.py RETAIN [--world DIR] [--cases tiny mid onevision]

--world: pictures of examples/tiny/make_world (for `tiny`).
`onevision` is LLaVA-OneVision at the published 0.5B shape with random weights. Planned must be within 10 % of measured, in the tiny
world within 10 % or 32 MiB; ends with 1 where it is not.
"""
import argparse
import json
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import harness

TOKENIZER = ROOT / "tests" / "fixtures" / "models" / "llava_onevision" / "hub"
MIB = 32
SHARE = 0.10


def write_png(path, side, seed):
    """Grey noise."""
    noise = random.Random(seed)
    rows = b"".join(b"\0" + noise.randbytes(side) for _ in range(side))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)) +
                     chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def write_records(folder, count, side, words):
    records = []
    for i in range(count):
        write_png(folder / f"{i}.png", side, i)
        text = " ".join(["what is shown"] * words)
        records.append({"id": str(i), "image": f"{i}.png", "conversations": [
            {"from": "human", "value": f"<image>\n{text}"}, {"from": "gpt", "value": "a picture of grey noise, as it seems"}]})
    path = folder / "records.json"
    path.write_text(json.dumps(records))
    return path


def make_model(retain, folder, config, pictures):
    """A model of random weights, whose tokenizer and token ids are the fixture's."""
    small = json.loads((TOKENIZER / "config.json").read_text())
    config["image_token_index"] = small["image_token_index"]
    (folder / "config.json").write_text(json.dumps(config))
    subprocess.run([retain, "-q", "init-model", "--config", folder / "config.json", "--out", folder / "model", "--scale", "fan_in",
                    "--tokenizer", TOKENIZER], check=True)
    for name in ("processor_config.json", "preprocessor_config.json"):
        path = folder / "model" / name
        if path.exists():
            said = json.loads(path.read_text())
            part = said.get("image_processor", said)
            part["size"] = {"height": pictures, "width": pictures}
            part["image_grid_pinpoints"] = config["image_grid_pinpoints"]
            path.write_text(json.dumps(said))
    return folder / "model"


def onevision():
    """llava-onevision-qwen2-0.5b-ov's shape, with the first four pinpoints."""
    return {"model_type": "llava_onevision", "architectures": ["LlavaOnevisionForConditionalGeneration"], "torch_dtype": "bfloat16",
            "image_grid_pinpoints": [[384, 384], [384, 768], [768, 384], [768, 768]], "vision_aspect_ratio": "anyres_max_9",
            "tie_word_embeddings": True,
            "text_config": {"model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
                            "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 152000, "tie_word_embeddings": True},
            "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 1152, "image_size": 384, "intermediate_size": 4304,
                              "num_attention_heads": 16, "num_hidden_layers": 26, "patch_size": 14, "vision_use_head": False}}


def mid():
    """The peers' workload `mid`: 1024 x 12, vocabulary 32,768; tower 384 x 8, one tile of 224 pixels, 256 visual tokens."""
    return {"model_type": "llava_onevision", "architectures": ["LlavaOnevisionForConditionalGeneration"], "torch_dtype": "float32",
            "image_grid_pinpoints": [[224, 224]], "vision_aspect_ratio": "anyres_max_9", "tie_word_embeddings": False,
            "text_config": {"model_type": "qwen2", "hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 12,
                            "num_attention_heads": 16, "num_key_value_heads": 4, "vocab_size": 32768},
            "vision_config": {"model_type": "siglip_vision_model", "hidden_size": 384, "image_size": 224, "intermediate_size": 1536,
                              "num_attention_heads": 6, "num_hidden_layers": 8, "patch_size": 14, "vision_use_head": False}}


class Bench:
    def __init__(self, retain):
        self.retain = retain
        self.missed = 0
        print("| model | recipe | data × pipeline × tensor | planned, MiB | measured, MiB | planned against measured |\n|---|---|---|---|---|---|")

    def case(self, name, folder, model, records, recipe, mesh, train, dtype, slack):
        data, pipeline, tensor = mesh
        experiment = folder / "experiment.toml"
        store = folder / "store"
        shutil.rmtree(store, ignore_errors=True)
        experiment.write_text(f'model = {{ path = "{model}", dtype = "{dtype}" }}\nparallel = {{ tensor = {tensor}, pipeline = {pipeline} }}\n'
                              f'train = {{ {train} }}\nrecipe = [{{ name = "{recipe}" }}]\n'
                              f'task = [{{ name = "records", train = "{records}" }}]\nstore = {{ path = "{store}" }}\n')
        done = harness.run(self.retain, "run", experiment, ranks=data * pipeline * tensor, timeout=3600)
        measured, planned = map(int, re.search(r"fullest rank (\d+) MiB, planned (\d+) MiB", done.stderr).groups())
        good = abs(planned - measured) <= max(SHARE * measured, slack)
        self.missed += not good
        print(f"| {name}, {dtype} | {recipe} | {data} × {pipeline} × {tensor} | {planned:,} | {measured:,} | "
              f"{100 * (planned / measured - 1):+.1f} %, {planned - measured:+,} MiB{'' if good else ' (missed)'} |", flush=True)
        shutil.rmtree(store, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("retain")
    parser.add_argument("--world", type=pathlib.Path)
    parser.add_argument("--cases", nargs="+", default=["tiny", "mid", "onevision"])
    parser.add_argument("--folder", help="where models and stores lie (default: the temporary folder)")
    options = parser.parse_args()
    bench = Bench(str(pathlib.Path(options.retain).resolve()))
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = pathlib.Path(name)
        if "tiny" in options.cases:
            clock = options.world / "train" / "clock.jsonl"  # answers of several lengths: products of many shapes are kept
            for recipe in ("llm", "sa_proj"):
                for mesh, steps in (((1, 1, 1), 6), ((2, 1, 1), 6), ((2, 1, 1), 100)):
                    bench.case(f"tiny world, varied lengths, {steps} steps", folder, ROOT / "examples" / "tiny" / "base", clock, recipe, mesh,
                               f"global_batch = 16, micro_batch = 8, max_steps = {steps}", "float32", MIB)
            records = options.world / "train" / "species.jsonl"
            for recipe in ("llm", "sa_proj", "mlp_gate_up"):
                for mesh in ((1, 1, 1), (1, 1, 2), (1, 2, 1), (2, 1, 2)):
                    bench.case("tiny world", folder, ROOT / "examples" / "tiny" / "base", records, recipe, mesh,
                               "global_batch = 16, micro_batch = 8, max_steps = 6", "float32", MIB)
        if "mid" in options.cases:
            (folder / "mid").mkdir()
            model = make_model(bench.retain, folder / "mid", mid(), 224)
            records = write_records(folder / "mid", 16, 224, 30)
            for recipe, mesh, dtype in (("llm", (1, 1, 2), "bfloat16"), ("sa_proj", (1, 1, 2), "bfloat16"), ("mlp_gate_up", (1, 2, 1), "float32"),
                                        ("llm", (2, 1, 1), "float32"), ("sa_proj", (1, 1, 1), "float32")):
                bench.case("mid", folder, model, records, recipe, mesh, "global_batch = 8, micro_batch = 4, max_steps = 2", dtype, 0)
        if "onevision" in options.cases:
            (folder / "onevision").mkdir()
            model = make_model(bench.retain, folder / "onevision", onevision(), 384)
            records = write_records(folder / "onevision", 4, 500, 8)
            bench.case("LLaVA-OneVision 0.5B", folder, model, records, "sa_proj", (1, 1, 2), "global_batch = 1, max_steps = 3", "bfloat16", 0)
            bench.case("LLaVA-OneVision 0.5B", folder, model, records, "llm", (1, 1, 2), "global_batch = 1, max_steps = 2, recompute = true",
                       "bfloat16", 0)
    sys.exit(1 if bench.missed else 0)


main()
