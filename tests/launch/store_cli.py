# SPDX-License-Identifier: Apache-2.0
"""`retain import`, `retain store …` and `retain export` from outside: store_cli.py RETAIN.

Two models of one configuration go into a store; their blend is checked number by number, the store is verified, rolled back,
collected, damaged, and a stage goes out again as a model directory with the bytes that came in.
"""
import array
import json
import pathlib
import shutil
import struct
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN = sys.argv[1]


def store(*arguments, check=True):
    return harness.run(RETAIN, "store", *arguments, check=check)


def float32(number):
    return struct.unpack("f", struct.pack("f", number))[0]


def check_blend(report, first, second, blended, x):
    """x * A + (1 - x) * B in float32: two rounded products, one rounded sum (double arithmetic rounded to float32 is the same:
    a product of two floats is exact in double, and the sum of two floats rounds once)."""
    left, right = float32(x), float32(1 - x)
    for name, (shape, values) in blended.items():
        a, b = first[name][1], second[name][1]
        if a == b:
            report.check(values == a, f"{name} is equal on both sides and was touched")
            continue
        expected = array.array("f", (float32(float32(left * u) + float32(right * v)) for u, v in zip(a, b)))
        report.check(values == expected, f"{name} is not the blend of its sides")


def damaged_tag(report, home, stage):
    """The store serves everybody but gc, whose words lead back to a whole tag."""
    (home / "refs" / "tags" / "paper").write_text("x" + stage[1:] + "\n")
    log = store("log", home)
    report.check("refs/tags/paper is damaged" in log.stderr, f"log beside a damaged tag: {log.stderr}")
    repaired = store("verify", home, "--repair", home, check=False)
    report.check(repaired.returncode == 1 and "refs/tags/paper is damaged" in repaired.stdout, "verify --repair beside a damaged tag")
    refused = store("gc", home, check=False)
    remedies = [words.split()[2:] for words in refused.stderr.split("`")[1::2]]
    report.check(0 < refused.returncode < 128 and len(remedies) == 2, f"gc with a damaged tag: {refused.stderr}")
    for remedy in remedies:
        store(*remedy)
    report.check((home / "refs" / "tags" / "paper").read_text() == stage + "\n", "the advice does not restore the tag")


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        model, other, home = harness.MODEL / "hub", folder / "other", folder / "store"
        harness.run(RETAIN, "init-model", "--config", model / "config.json", "--out", other, "--seed", 5, "--dtype", "float32")
        first = harness.run(RETAIN, "import", model, home).stdout.strip()
        second = harness.run(RETAIN, "import", other, home, "--branch", "tuned").stdout.strip()
        report.check(harness.run(RETAIN, "import", model, home).stdout.strip() == first, "importing twice gives two stages")
        blend = store("blend", home, "base", "tuned", "--alpha", 0.3, "--branch", "mixed").stdout.strip()

        log = json.loads(store("log", home, "--json").stdout)
        report.check({entry["id"] for entry in log} == {first, second, blend}, "log misses a stage")
        report.check("mixed" in store("log", home).stdout, "log does not name the branch")
        shown = json.loads(store("show", home, "mixed", "--json").stdout)
        report.check(shown["parents"] == [first, second], "a blend has two parents")
        report.check(shown["inputs"]["x"] == 0.3, "the blend's weight is recorded")
        report.check(blend[:10] in store("show", home, blend[:8]).stdout, "a stage is found by its first digits")

        harness.run(RETAIN, "export", home, "base", folder / "out")
        originals = harness.read_safetensors(model / "model.safetensors")
        report.check(harness.read_safetensors(folder / "out" / "model.safetensors") == originals, "export changed a tensor")
        for name in ("config.json", "tokenizer.json", "preprocessor_config.json"):
            report.check((folder / "out" / name).read_bytes() == (model / name).read_bytes(), f"export changed {name}")
        store("export", home, "mixed", folder / "blended")
        check_blend(report, originals, harness.read_safetensors(other / "model.safetensors"),
                    harness.read_safetensors(folder / "blended" / "model.safetensors"), 0.3)

        differences = json.loads(store("diff", home, "base", "tuned", "--tensors", "--json").stdout)
        report.check(all(d["fate"] in ("changed", "same") for d in differences), "diff of equal shapes")
        report.check(any(d["fate"] == "changed" and d["norm"] > 0 and -1 <= d["cosine"] < 1 for d in differences), "diff sees nothing")
        report.check("bit-identical" in store("diff", home, "base", "base").stdout, "diff of a stage with itself")

        store("tag", home, "paper", blend)
        store("rollback", home, "mixed", first)
        report.check(store("rollback", home, "mixed", "--undo").stdout.strip().endswith(blend), "undo of a rollback")
        store("rollback", home, "mixed", first)
        damaged_tag(report, home, blend)
        store("tag", home, "paper", "--delete")
        kept = json.loads(store("gc", home, "--json").stdout)
        report.check(kept["stages"] == [], "gc took what the log can bring back")
        planned = json.loads(store("gc", home, "--forget", "--dry-run", "--json").stdout)
        report.check(planned["stages"] == [blend], "gc --forget --dry-run")
        report.check((home / "stages" / f"{blend}.h5").exists(), "a dry run removed a stage")
        store("gc", home, "--forget")
        report.check(not (home / "stages" / f"{blend}.h5").exists(), "gc left a stage")

        moved = folder / "elsewhere"
        shutil.move(home, moved)
        report.check(json.loads(store("verify", moved, "--json").stdout)["clean"], "a moved store is not clean")
        unknown = store("show", moved, "nothing", check=False)
        report.check(0 < unknown.returncode < 128 and "store_unknown_stage" in unknown.stderr, "an unknown stage")
        report.check(unknown.stdout == "", "a refusal wrote to standard output")

        path = moved / "stages" / f"{first}.h5"
        data = bytearray(path.read_bytes())
        header = json.loads(bytes(data[:4096]).split(b"\n")[0])
        manifest = json.loads(bytes(data[header["manifest_offset"]:header["manifest_offset"] + header["manifest_bytes"]]))
        tensor = next(entry for entry in manifest["arrays"] if entry["path"].startswith("tensors/language.embed"))
        data[tensor["offset"] + 100] ^= 16
        path.write_bytes(data)
        damaged = store("verify", moved, "--json", check=False)
        found = json.loads(damaged.stdout)
        report.check(damaged.returncode == 1 and not found["clean"], "a flipped bit went unnoticed")
        report.check(any(first in problem and "block 0 of " + tensor["path"] in problem for problem in found["problems"]),
                     "verify does not name stage, tensor and block")
        refused = store("export", moved, "base", folder / "never", check=False)
        report.check(0 < refused.returncode < 128 and not (folder / "never").exists(), "a damaged stage was exported")
    report.end()


main()
