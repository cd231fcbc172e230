# SPDX-License-Identifier: Apache-2.0
"""Every method through the command: methods.py RETAIN.

Two tasks under each of them on one rank; the same run again teaches nothing, on two ranks too; what a stage keeps, what the
study says, blends and merges between the stages, adapters exported, and every wrong input refused with its own kind of error.
"""
import json
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN = sys.argv[1]

HEAD = f'''[model]
path = "{harness.MODEL / 'hub'}"
[train]
learning_rate = 1e-3
global_batch = 2
max_steps = 2
[[task]]
name = "one"
train = "{harness.RUN / 'records.jsonl'}"
[[task]]
name = "two"
train = "{harness.RUN / 'records.jsonl'}"
seed = 5
[[benchmark]]
name = "answers"
data = "{harness.RUN / 'records.jsonl'}"
max_new_tokens = 2
limit = 2
[store]
path = "store"
'''

RECIPES = {
    "plain": 'train = ["mlp"]',
    "lwf": 'train = ["mlp"]\nmethod = "lwf"\n[recipe.lwf]\nlambda = 0.5',
    "lwf_base": 'train = ["mlp"]\nmethod = "lwf"\n[recipe.lwf]\nteacher = "base"',
    "lora": 'train = ["mlp"]\nmethod = "lora"\n[recipe.lora]\nrank = 2\ndropout = 0.1',
    "kept": 'train = ["sa_proj"]\nmethod = "lora"\n[recipe.lora]\nrank = 2\nmerge = false',
    "moe": 'train = ["mlp"]\nmethod = "moe"',
    "wise": 'train = ["mlp"]\nmethod = "wise_ft"\n[recipe.wise_ft]\nalpha = 0.25',
    "l2": 'train = ["mlp"]\nmethod = "l2"\n[recipe.l2]\nlambda = 0.1',
    "replay": 'train = ["mlp"]\nmethod = "replay"\n[recipe.replay]\nshare = 0.5',
}


def recipe(name, body):
    return f'[[recipe]]\nname = "{name}"\n{body}\n'


def check_run(report, folder):
    experiment = folder / "e.toml"
    experiment.write_text(HEAD + "".join(recipe(name, body) for name, body in RECIPES.items()))
    store = folder / "store"
    first = harness.run(RETAIN, "run", experiment)
    study = json.loads((store / "study.json").read_text())
    branches = {branch["recipe"]: [stage["stage"] for stage in branch["stages"]] for branch in study["branches"]}
    report.check(set(branches) == set(RECIPES) - {"moe"} | {"moe (top1)", "moe (blend)"}, f"branches of the study: {sorted(branches)}")
    report.check(all(len(stages) == 2 for stages in branches.values()), f"two stages each: {branches}")
    report.check("largest_logit_change" in first.stderr, "the merge does not say what it changed")
    stages = sorted(path.name for path in (store / "stages").iterdir())
    for ranks in (1, 2):
        harness.run(RETAIN, "run", experiment, ranks=ranks)
        report.check(sorted(path.name for path in (store / "stages").iterdir()) == stages, f"the same run on {ranks} rank(s) made other stages")
        report.check(json.loads((store / "study.json").read_text()) == study, f"the same run on {ranks} rank(s) has another study")

    def show(stage):
        return json.loads(harness.run(RETAIN, "store", "show", store, stage, "--json").stdout)

    kept = {array["path"] for array in show("kept")["arrays"]}
    report.check("tensors/language.layers.0.self_attn.q_proj.lora_A.weight" in kept, "a kept adapter is not in its stage")
    report.check(not any("lora_" in array["path"] for array in show("lora")["arrays"]), "a merged adapter is in its stage")
    report.check(any("mlp.router" in array["path"] for array in show("moe")["arrays"]), "a router is not in its stage")
    report.check(len(show("wise")["parents"]) == 2, "an average has two parents")
    return experiment, store, branches


def check_between(report, folder, experiment, store):
    sweep = harness.run(RETAIN, "eval", experiment, "--blend", "base", "plain", "--alpha", "0.0", "0.5", "1.0").stdout.splitlines()
    report.check([json.loads(line)["alpha"] for line in sweep] == [0.0, 0.5, 1.0], f"a sweep of three weights: {sweep}")
    readings = [json.loads(line).get("reading") for line in harness.run(RETAIN, "eval", experiment, "--stage", "moe").stdout.splitlines()]
    report.check(readings == ["top1", "blend"], f"experts are read in two ways: {readings}")
    harness.run(RETAIN, "eval", experiment, "--stage", "kept", ranks=2)
    harness.run(RETAIN, "eval", experiment, "--blend", "base", "plain", "--alpha", "0.5", "--alpha-group", "layers:0=1.0")
    for kind in ("task_arithmetic", "ties", "dare", "dare_ties"):
        merged = harness.run(RETAIN, "store", "merge", store, "base", "plain", "l2", "--kind", kind, "--density", "0.5").stdout.strip()
        harness.run(RETAIN, "eval", experiment, "--stage", merged)
    check_thinned_out(report, folder, experiment, store)
    harness.run(RETAIN, "export", store, "kept", folder / "adapter", "--adapter")
    settings = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    report.check(settings["r"] == 2 and settings["peft_type"] == "LORA", f"PEFT's settings: {settings}")
    tensors = harness.read_safetensors(folder / "adapter" / "adapter_model.safetensors")
    report.check(all(name.startswith("base_model.model.") for name in tensors) and tensors, "PEFT's names")
    check_imported_adapter(report, folder, store)


def check_thinned_out(report, folder, experiment, store):
    """A blend and a merge of stages with adapters or experts load when gc has removed what they were made of."""
    thin = folder / "thin"
    shutil.copytree(store, thin)
    measured = {}

    def eval_of(name):
        return harness.run(RETAIN, "eval", experiment, "--set", f"store.path={thin}", "--stage", name).stdout

    for recipe in ("kept", "moe"):
        for name, made in ((f"{recipe}_blend", ("blend", thin, f"{recipe}~1", recipe, "--alpha", "0.25")),
                           (f"{recipe}_merge", ("merge", thin, f"{recipe}~1", recipe))):
            harness.run(RETAIN, "store", *made, "--branch", name)
            measured[name] = eval_of(name)
    for recipe in ("kept", "moe"):
        harness.run(RETAIN, "store", "rollback", thin, recipe, "base")
    harness.run(RETAIN, "store", "gc", thin, "--forget", "--keep-last", "1")
    shown = [json.loads(harness.run(RETAIN, "store", "show", thin, name, "--json").stdout) for name in measured]
    gone = {parent for stage in shown for parent in stage["parents"] if not (thin / "stages" / f"{parent}.h5").exists()}
    report.check(len(gone) == 4, f"gc leaves what they were made of: {gone}")
    for name, before in measured.items():
        report.check(eval_of(name) == before, f"{name} measures otherwise when its parents are gone")
    harness.run(RETAIN, "export", thin, "kept_merge", folder / "adapter_of_merge", "--adapter")


def check_imported_adapter(report, folder, store):
    """Training that changes nothing: the adapter is in the first stage's weights and not in the second's once more."""
    again = folder / "again.toml"
    still = HEAD.replace("learning_rate = 1e-3", "learning_rate = 1e-30")
    body = f'train = ["sa_proj"]\nmethod = "lora"\n[recipe.lora]\nrank = 2\nadapter = "{folder / "adapter"}"'
    again.write_text(still + recipe("again", body) + recipe("more", body + "\nmerge = false"))
    harness.run(RETAIN, "run", again)
    stages = {branch["recipe"]: [stage["stage"] for stage in branch["stages"]] for branch in json.loads((store / "study.json").read_text())["branches"]}

    def show(stage):
        return json.loads(harness.run(RETAIN, "store", "show", store, stage, "--json").stdout)

    def digests(stage):
        return {array["path"]: array["digest"] for array in show(stage)["arrays"]
                if array["path"].startswith("tensors/language.") and "self_attn" in array["path"] and array["path"].endswith("proj.weight")}

    one, two = (digests(stage) for stage in stages["again"])
    base = digests("base")
    report.check(one.keys() == base.keys() and all(one[name] != base[name] for name in one), "the imported adapter is not in the first stage")
    report.check(one == two, f"the second stage changed {[name for name in one if one[name] != two[name]]}")
    noted = {recipe: ["adapter_digest" in show(stage)["inputs"]["method"] for stage in pair] for recipe, pair in stages.items()}
    report.check(noted == {"again": [True, False], "more": [True, True]}, f"the folder is an input of {noted}")


def check_refusals(report, folder, store):
    def refused(kind, body, wanted=""):
        file = folder / "bad.toml"
        file.write_text(HEAD + body)
        done = harness.run(RETAIN, "run", file, check=False)
        report.check(done.returncode == 1 and kind in done.stderr and wanted in done.stderr, f"{body!r} ended with {done.returncode}: {done.stderr}")

    refused("config_invalid", recipe("x", 'train = ["mlp"]\nmethod = "lwff"'), "lwf")
    refused("config_invalid", recipe("x", 'train = ["mlp"]\nmethod = "lwf"\n[recipe.lwf]\nlamda = 1.0'), "lambda")
    refused("config_invalid", recipe("x", 'train = ["mlp"]\n[recipe.lwf]\nlambda = 1.0'), "lwf")
    refused("store_unknown_stage", recipe("x", 'train = ["mlp"]\nmethod = "lwf"\n[recipe.lwf]\nteacher = "nobody"'), "nobody")
    refused("config_invalid", recipe("x", 'train = ["mlp"]\nmethod = "wise_ft"\n[recipe.wise_ft]\nalpha = 1.5'), "alpha")
    refused("config_invalid", recipe("x", f'train = ["sa_proj"]\nmethod = "lora"\n[recipe.lora]\nrank = 4\nadapter = "{folder / "adapter"}"'), "adapter")
    refused("checkpoint_missing_tensor", recipe("x", f'train = ["mlp"]\nmethod = "lora"\n[recipe.lora]\nrank = 2\nadapter = "{folder / "adapter"}"'), "lora_A")
    refused("checkpoint_surplus_tensor", recipe("x", f'train = ["sa_qkv"]\nmethod = "lora"\n[recipe.lora]\nrank = 2\nadapter = "{folder / "adapter"}"'), "o_proj.lora_A")
    refused("recipe_matches_nothing", recipe("x", 'train = ["language.norm.weight"]\nmethod = "lora"'), "linear")
    refused("config_invalid", recipe("x", 'train = ["sa_proj"]\nmethod = "moe"'), "MLP")
    refused("config_invalid", recipe("x", 'train = ["mlp"]\nmethod = "l2"'), "lambda")
    refused("config_invalid", recipe("x", 'train = ["mlp"]\nmethod = "replay"\n[recipe.replay]\nshare = 2.0'), "share")

    def command(kind, *arguments):
        done = harness.run(RETAIN, *arguments, check=False)
        report.check(done.returncode != 0 and kind in done.stderr, f"{arguments} ended with {done.returncode}: {done.stderr}")

    command("checkpoint_missing_tensor", "store", "blend", store, "plain", "kept", "--alpha", "0.5")
    command("checkpoint_missing_tensor", "store", "merge", store, "base", "plain", "moe")
    command("usage", "store", "merge", store, "base", "plain", "--density", "0")
    command("usage", "store", "merge", store, "base", "plain", "--weights", "1,2")
    command("usage", "export", store, "plain", folder / "none", "--adapter")
    command("config_unsupported", "export", store, "moe", folder / "none")
    command("usage", "store", "blend", store, "base", "plain", "--alpha", "1.5")
    command("config_invalid", "score", store, "--metric", "no_metric")
    command("alpha", "eval", folder / "e.toml", "--blend", "base", "plain", "--alpha", "1.5")
    command("usage", "eval", folder / "e.toml", "--blend", "base", "plain", "--alpha-group", "mlp=2")


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        experiment, store, _ = check_run(report, folder)
        check_between(report, folder, experiment, store)
        check_refusals(report, folder, store)
    report.end()


main()
