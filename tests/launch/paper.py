# SPDX-License-Identifier: Apache-2.0
"""Every experiment of examples/paper, planned from config.json alone: paper.py RETAIN.

Tensors, counts, rates, batches, steps and orders are held against the published shapes and against what is known of the paper's
released scripts. Expected counts are worked out here from the shapes; those of self-attention and MLPs are the paper's.
"""
import json
import math
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN = sys.argv[1]
PAPER = pathlib.Path(__file__).resolve().parent.parent.parent / "examples" / "paper"
LAYER = "language.layers.*."
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
MLP = ["gate_proj", "up_proj", "down_proj"]
TASKS = ["cub200", "pixmocount", "pathvqa", "textvqa", "timeclock"]
RECORDS = {"cub200": 5994, "pixmocount": 36916, "pathvqa": 19654, "textvqa": 34602, "timeclock": None}
KINDS = {"target": set(TASKS), "held_out": {"ai2d", "chartqa", "docvqa", "infovqa", "realworldqa", "seedbench", "scienceqa", "mmstar"},
         "extra": {"ocrbench", "countbench", "cococlock", "openimgclock"}}
ORDERS = [TASKS, ["pathvqa", "cub200", "textvqa", "timeclock", "pixmocount"], ["timeclock", "textvqa", "pathvqa", "pixmocount", "cub200"]]
SIXTEEN = {"full", "llm", "mlp", "projector", "lora"}  # of the released OneVision scripts; all others 32
IN_ORDERS = ["full", "llm", "sa_proj", "sa_qkv", "mlp", "mlp_gate_up", "vision", "projector"]
RECIPES = IN_ORDERS + ["vision_projector", "lwf", "lora", "moe", "wise_ft"]


class Family:
    def __init__(self, total, sa_proj, mlp, hidden, inner, layers, kv, vocabulary, bias, newline, projector):
        self.total, self.layers, self.bias, self.hidden, self.inner = total, layers, bias, hidden, inner
        attention = {"q_proj": hidden * (hidden + bias), "k_proj": kv * (hidden + bias), "v_proj": kv * (hidden + bias), "o_proj": hidden * hidden}
        decoder = layers * (sum(attention.values()) + 3 * hidden * inner + 2 * hidden) + hidden + 2 * vocabulary * hidden
        llm = decoder + newline * hidden
        router = layers * (2 * hidden + 2)
        adapters = layers * 3 * 256 * (hidden + inner)
        self.counts = {"full": total, "llm": llm, "sa_proj": sa_proj, "sa_qkv": layers * sum(attention[name] for name in ATTENTION[:3]),
                       "mlp": mlp, "mlp_gate_up": mlp // 3 * 2, "vision": total - llm - projector, "projector": projector,
                       "vision_projector": total - llm, "lwf": mlp, "wise_ft": mlp, "moe": mlp + router, "lora": adapters}
        self.projector = projector


FAMILIES = {
    "llava_onevision_7b": Family(8030348832, 822212608, 5703204864, 3584, 18944, 28, 512, 152064, 1, 1, (1152 + 1) * 3584 + (3584 + 1) * 3584),
    "llama3_llava_next_8b": Family(8355276800, 1342177280, 5637144576, 4096, 14336, 32, 1024, 128320, 0, 1, (1024 + 1) * 4096 + (4096 + 1) * 4096),
    "qwen2_5_vl_7b": Family(8292166656, 822212608, 5703204864, 3584, 18944, 28, 512, 152064, 1, 0, 1280 + (5120 + 1) * 5120 + (5120 + 1) * 3584),
}


def kinds(family, recipe):
    """Names of decoder parameters a recipe trains, layers as stars; None where other parameters train too."""
    attention = [f"{LAYER}self_attn.{name}.weight" for name in ATTENTION] + [f"{LAYER}self_attn.{name}.bias" for name in ATTENTION[:3] if family.bias]
    mlp = [f"{LAYER}mlp.{name}.weight" for name in MLP]
    return {"sa_proj": attention, "sa_qkv": [name for name in attention if "o_proj" not in name], "mlp": mlp, "lwf": mlp, "wise_ft": mlp,
            "mlp_gate_up": mlp[:2]}.get(recipe)


def check_recipe(report, where, family, recipe, faithful, batch):
    name = recipe["name"]
    expected = family.counts[name] + (family.projector if name == "lora" and faithful else 0)
    report.check(recipe["trained"] == expected, f"{where}: trains {recipe['trained']} parameters, not {expected}")
    report.check(sum(kind["elements"] for kind in recipe["kinds"]) == expected, f"{where}: kinds do not add up")
    report.check(sum(kind["tensors"] for kind in recipe["kinds"]) == recipe["tensors"], f"{where}: tensors do not add up")
    names = sorted(kind["name"] for kind in recipe["kinds"])
    if kinds(family, name) is not None:
        report.check(names == sorted(kinds(family, name)), f"{where}: trains {names}")
        report.check(recipe["tensors"] == family.layers * len(names), f"{where}: {recipe['tensors']} tensors")
    for kind in recipe["kinds"]:
        part = kind["name"].split(".")[0]
        allowed = {"full": None, "llm": {"language", "image_newline"}, "vision": {"vision"}, "projector": {"projector"},
                   "vision_projector": {"vision", "projector"}, "lora": {"language", "projector"} if faithful else {"language"}}.get(name, {"language"})
        report.check(allowed is None or part in allowed, f"{where}: trains {kind['name']}")
        rate = 2e-6 if part == "vision" else 5e-5 if name == "lora" else 5e-6
        report.check(kind["learning_rate"] == rate, f"{where}: {kind['name']} at {kind['learning_rate']}")
    report.check((recipe["method"] or {}).get("method") == {"lwf": "lwf", "lora": "lora", "moe": "moe"}.get(name), f"{where}: method {recipe['method']}")
    report.check([stage["task"] for stage in recipe["stages"]] == TASKS, f"{where}: tasks")
    for stage in recipe["stages"]:
        records = RECORDS[stage["task"]]
        steps = None if records is None else records // batch
        report.check(stage["global_batch"] == batch and stage["steps"] == steps, f"{where}: {stage}")
        report.check(stage["warmup_steps"] == (None if steps is None else math.ceil(0.03 * steps)), f"{where}: warm-up {stage}")
        report.check((stage["schedule"], stage["epochs"], stage["clip"], stage["weight_decay"]) == ("cosine", 1, 1.0, 0.0), f"{where}: {stage}")


def plan(*arguments):
    return harness.run(RETAIN, "run", *arguments, "--dry-run", "--config-only")


def check_benchmarks(report, where, benchmarks):
    for kind, names in KINDS.items():
        found = [benchmark["name"] for benchmark in benchmarks if benchmark["kind"] == kind]
        report.check(sorted(found) == sorted(names), f"{where}: {kind} benchmarks {found}")
    report.check(len(benchmarks) == 17, f"{where}: {len(benchmarks)} benchmarks")


def check_family(report, name, family):
    for variant in ("", "_orders", "_clean"):
        where = name + variant
        found = json.loads(plan(PAPER / f"{where}.toml", "--json").stdout)
        faithful = variant != "_clean"
        report.check(found["model"]["parameters"] == family.total and found["mode"] == ("faithful" if faithful else "clean"), f"{where}: {found['model']}")
        recipes = {recipe["name"]: recipe for recipe in found["recipes"]}
        report.check(sorted(recipes) == sorted(IN_ORDERS if variant == "_orders" else RECIPES), f"{where}: recipes {sorted(recipes)}")
        for recipe in recipes.values():
            batch = 16 if where == "llava_onevision_7b" and recipe["name"] in SIXTEEN else 32
            check_recipe(report, f"{where} {recipe['name']}", family, recipe, faithful, batch)
        branches = found["study"]["branches"]
        orders = 3 if variant else 1
        seeds = 3 if variant == "_clean" else 1
        report.check(len(branches) == len(recipes) * orders * seeds, f"{where}: {len(branches)} branches")
        report.check([branch["order"] for branch in branches[:orders]] == ORDERS[:orders], f"{where}: orders")
        report.check(found["study"]["stages"] == found["study"]["distinct"] == 5 * len(branches), f"{where}: {found['study']['distinct']} stages")
        check_benchmarks(report, where, found["benchmarks"])
        report.check(len(found["tasks"]) == 5, f"{where}: tasks")
        report.check(any("timeclock" in note and "unknown" in note for note in found["notes"]), f"{where}: notes {found['notes']}")


def check_counting(report):
    """The runs that only count: six recipes, probes inside the one stage."""
    found = json.loads(plan(PAPER / "llava_onevision_7b_counting.toml", "--json").stdout)
    counts = FAMILIES["llava_onevision_7b"].counts
    expected = {name: counts[name] for name in ("llm", "mlp", "mlp_gate_up", "sa_proj", "lwf")} | {
        "sa_proj_gate_up": counts["sa_proj"] + counts["mlp_gate_up"]}
    report.check({recipe["name"]: recipe["trained"] for recipe in found["recipes"]} == expected, "counting alone: recipes")
    steps = {recipe["name"]: [(stage["task"], stage["steps"]) for stage in recipe["stages"]] for recipe in found["recipes"]}
    report.check(steps == {name: [("pixmocount", 36916 // (16 if name in SIXTEEN else 32))] for name in expected}, f"counting alone: {steps}")
    report.check(found["mode"] == "faithful", "counting alone: mode")
    check_benchmarks(report, "counting alone", found["benchmarks"])


def check_text(report):
    text = plan(PAPER / "qwen2_5_vl_7b.toml").stdout
    for piece in ("name sa_proj  tensors 196  trained 822212608", f"{LAYER}mlp.gate_proj.weight", "task pixmocount  records 36916  global_batch 32  steps 1153",
                  "task timeclock  records null"):
        report.check(piece in text, f"the plan for people lacks {piece!r}")
    one = plan(PAPER / "llama3_llava_next_8b.toml", "--set", "recipe.0.only=[\"sa_proj\"]", "--set", "recipe.0.global_batch=64", "--json")
    (recipe,) = json.loads(one.stdout)["recipes"]
    report.check(recipe["name"] == "sa_proj" and recipe["stages"][0]["global_batch"] == 64, "one recipe at another batch")


def check_refusals(report):
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)

        def refused(body, wanted, *more):
            file = folder / "e.toml"
            file.write_text(body)
            done = harness.run(RETAIN, "run", file, "--dry-run", "--config-only", *more, check=False)
            report.check(done.returncode == 1 and wanted in done.stderr, f"{body!r} ended with {done.returncode}: {done.stderr}")

        base = f'base = "{PAPER / "qwen2_5_vl_7b.toml"}"\n'
        refused('base = "e.toml"\n', "config_invalid")
        refused('base = "nowhere.toml"\n', "nowhere.toml")
        refused(base + f'[[recipe]]\nfile = "{PAPER / "recipes.toml"}"\nonly = ["sa_prj"]\n', "sa_proj")
        refused(base + '[study]\norders = "al"\n', "all")
        refused(base + '[study]\norders = [["cub200", "cub200"]]\n', "twice")
        refused(base + '[study]\norders = [["cub20"]]\n', "cub200")
        refused(base + '[study]\norders = { random = 121 }\n', "120")
        refused(base + '[study]\nseeds = [1, 1]\n', "seeds")
        refused(base + '[study]\nsedes = [1]\n', "seeds")
        refused(base, "data_empty", "--set", "recipe.0.global_batch=100000")
        done = harness.run(RETAIN, "run", PAPER / "qwen2_5_vl_7b.toml", "--config-only", check=False)
        report.check(done.returncode == 2 and "--dry-run" in done.stderr, f"--config-only alone: {done.returncode} {done.stderr}")


def main():
    report = harness.Report()
    files = sorted(path.stem for path in PAPER.glob("*.toml"))
    expected = ["common", "recipes"] + [name + variant for name in FAMILIES for variant in ("", "_orders", "_clean")] + ["llava_onevision_7b_counting"]
    report.check(files == sorted(expected), f"files of examples/paper: {files}")
    for name, family in FAMILIES.items():
        check_family(report, name, family)
    check_counting(report)
    check_text(report)
    check_refusals(report)
    report.end()


main()
