# SPDX-License-Identifier: Apache-2.0
"""A study over the tiny world, its branches taught side by side by groups of ranks and one after another: side_by_side.py RETAIN
MAKE_WORLD.

Either way gives the same stages, results, branches and log; what gc thins out is not taught again; a kill in the middle costs
nothing that was committed; a stop of one rank saves all groups; a rank that hangs is named with its group. The study: 7 recipes x
3 orders x 2 seeds.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN, MAKE_WORLD = sys.argv[1:3]
TINY = pathlib.Path(__file__).resolve().parents[2] / "examples" / "tiny"
# Averaging begins with the same stage as the plain recipe: one group teaches it, the other takes other work meanwhile.
RECIPES = ['name = "mlp"', 'name = "averaged"\ntrain = ["mlp"]\nmethod = "wise_ft"', 'name = "sa_proj"', 'name = "llm"',
           'name = "mlp_gate_up"', 'name = "lora"\ntrain = ["mlp"]\nmethod = "lora"', 'name = "lwf"\ntrain = ["mlp"]\nmethod = "lwf"']
TASKS = ["species", "count", "digits"]
STEPS = 2


def experiment(folder, name, world, recipes, orders, seeds, steps=STEPS, text=""):
    """Writes the study; its store and log are named like it."""
    lines = [f"[model]\npath = '{TINY}/base'", f"[train]\nglobal_batch = 4\nmicro_batch = 4\nepochs = 100\nmax_steps = {steps}\nlearning_rate = 1e-3",
             f"[study]\nseeds = {seeds}\norders = {json.dumps(orders)}", f"[store]\npath = '{folder}/{name}'", f"[log]\npath = '{folder}/{name}.jsonl'",
             "[evaluate]\nbatch = 8", f"[[probe]]\ndata = '{world}/test/captions.jsonl'\nlimit = 4", text]
    lines += ["[[recipe]]\n" + recipe for recipe in recipes]
    lines += [f"[[task]]\nname = '{task}'\ntrain = '{world}/train/{task}.jsonl'" for task in TASKS]
    lines += [f"[[benchmark]]\nname = '{task}'\ndata = '{world}/test/{task}.jsonl'\nkind = 'target'\nmax_new_tokens = 3\nlimit = 8" for task in TASKS]
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def command(path, ranks, groups, *more):
    return [*harness.launcher(ranks), RETAIN, *more, "run", str(path), "--set", f"study.concurrent_branches={groups}"]


def run(path, ranks, groups, *more, check=True, timeout=600):
    start = time.monotonic()
    done = subprocess.run(command(path, ranks, groups, *more), env=harness.ENVIRONMENT, capture_output=True, text=True, timeout=timeout)
    if check and done.returncode != 0:
        sys.exit(f"{path.name} on {groups} group(s) of {ranks // groups} ended with {done.returncode}:\n{done.stderr}")
    print(f"{path.name}: {groups} group(s) of {ranks // groups}, {time.monotonic() - start:.1f} s", flush=True)
    return done


def store_of(path):
    return path.with_suffix("")


def lines_of(path):
    log = path.with_suffix(".jsonl")
    return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []


def rounded(value):
    return float(f"{value:.5g}") if isinstance(value, float) else value


def outcome(path):
    """What must be equal however the study was run. Measured numbers to rounding: what is evaluated together depends on stops."""
    store = store_of(path)
    results = {p.name: json.loads(p.read_text(), parse_float=lambda text: rounded(float(text)))["value"] for p in (store / "results").glob("*")}
    moves = {}
    for line in (store / "log" / "refs.jsonl").read_text().splitlines():
        move = json.loads(line[33:])
        if not move["name"].startswith("averaged"):  # whether it passes through what it averages depends on who taught that
            moves.setdefault(move["name"], []).append(move["to"])
    return {"stages": sorted(p.name for p in (store / "stages").iterdir()),
            "heads": {p.name: p.read_text().strip() for p in (store / "refs" / "heads").iterdir()},
            "moves": moves,
            "results": results,
            "progress": sorted(str(p) for p in (store / "progress").rglob("*.h5")),
            "study": json.loads((store / "study.json").read_text(), parse_float=lambda text: rounded(float(text))) | {"title": ""},
            # What both recipes begin with is logged under the name of either.
            "log": sorted({str({k: rounded(v) for k, v in line.items() if k != "seconds"}).replace("averaged", "mlp") for line in lines_of(path)})}


def compare(report, found, expected, what, parts=None):
    for part in parts or expected:
        report.check(found[part] == expected[part], f"{what}: {part} differ: {str(found[part])[:600]} | {str(expected[part])[:600]}")


def start(path, ranks, groups, *more):
    return subprocess.Popen(command(path, ranks, groups, *more), env=harness.ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def kill_in_the_middle(report, path, stages):
    job = start(path, 2, 2)
    folder = store_of(path) / "stages"
    harness.wait_until(lambda: folder.exists() and len(list(folder.glob("*.h5"))) >= stages, job)
    os.kill(harness.process_of_rank(job.pid, 1), signal.SIGKILL)
    report.check(job.wait(timeout=60) != 0, "a rank of the second group was killed, yet the run ended well")
    harness.run(RETAIN, "store", "verify", store_of(path))
    kept = {p.name for p in folder.glob("*.h5")}
    steps = len(lines_of(path))
    run(path, 1, 1, timeout=1800)
    report.check(kept <= {p.name for p in folder.glob("*.h5")}, "stages from before the kill are gone")
    return kept, steps


def check_kill(report, folder, world, sizes, expected):
    path = experiment(folder, "killed", world, *sizes)
    distinct = len(expected["stages"]) - 1
    kept, steps = kill_in_the_middle(report, path, distinct // 2)
    compare(report, outcome(path), expected, "killed in the middle", ["stages", "heads", "results", "progress", "study", "log"])
    print(f"killed after {len(kept)} of {len(expected['stages'])} stages and {steps} of {len(expected['log'])} steps", flush=True)
    before = outcome(path)
    written = (store_of(path) / "stages").stat().st_mtime_ns
    for ranks in (1, 2):
        again = run(path, ranks, ranks)
        report.check("taught before" in again.stderr and "goes on from step" not in again.stderr, "it says that nothing is taught again")
    compare(report, outcome(path), before, "run again")
    report.check((store_of(path) / "stages").stat().st_mtime_ns == written, "nothing was written again")


def check_thinned_out(report, path, expected):
    """After gc left the heads alone both groups, and one rank, find everything taught and measured, also where a method averages."""
    harness.run(RETAIN, "store", "gc", store_of(path), "--keep-last", "1")
    left = outcome(path)
    report.check(len(left["stages"]) < len(expected["stages"]), "gc removed nothing")
    for groups in (2, 1):
        said = run(path, groups, groups).stderr
        report.check("which gc removed" in said and "taught again" not in said, f"after gc: {said[-2000:]}")
        compare(report, outcome(path), left, f"after gc, {groups} group(s)")
    compare(report, left, expected, "thinned out", ["heads", "moves", "results", "study", "log"])


def check_stop(report, folder, world):
    """SIGUSR1 to the second group's rank alone, while both groups teach."""
    sizes = ([RECIPES[0], RECIPES[2]], [TASKS[:1]], [1], 60)
    alone = experiment(folder, "left_alone", world, *sizes)
    run(alone, 1, 1)
    path = experiment(folder, "stopped", world, *sizes)
    job = start(path, 2, 2)
    recipes = ("mlp", "sa_proj")
    harness.wait_until(lambda: all(sum(line["recipe"] == recipe for line in lines_of(path)) >= 3 for recipe in recipes), job)
    os.kill(harness.process_of_rank(job.pid, 1), signal.SIGUSR1)
    said = job.communicate(timeout=60)[1]
    report.check(job.returncode == 3, f"stopped with {job.returncode}: {said}")
    for group in (1, 2):
        report.check(f"group {group}: stopped and saved at step" in said, f"group {group} says nothing of stopping: {said}")
    saved = len(list((store_of(path) / "progress").rglob("*.h5")))
    report.check(saved == 2, f"{saved} checkpoints of two groups")
    again = run(path, 2, 2)
    report.check(again.stderr.count("goes on from step") == 2, f"both go on from their checkpoints: {again.stderr}")
    compare(report, outcome(path), outcome(alone), "stopped and gone on", ["stages", "heads", "results", "progress", "study", "log"])


def check_groups_of_two(report, folder, world):
    sizes = (RECIPES[:2], [TASKS[:2]], [1, 2])
    shape = "[parallel]\ntensor = 2"
    together = experiment(folder, "four_ranks", world, *sizes, text=shape)
    together.write_text(together.read_text().replace("[store]\n", "[store]\nasynchronous = true\n"))  # each group writes behind its own steps
    run(together, 4, 2)
    one_by_one = experiment(folder, "two_ranks", world, *sizes, text=shape)
    run(one_by_one, 2, 1)
    compare(report, outcome(together), outcome(one_by_one), "groups of two ranks")


def check_hanging_rank(report, folder, world):
    path = experiment(folder, "hanging", world, [RECIPES[0], RECIPES[2]], [TASKS[:1]], [1], 2000, "[parallel]\ntensor = 2")
    job = start(path, 4, 2, "--watchdog", "10")
    harness.wait_until(lambda: {line["recipe"] for line in lines_of(path)} == {"mlp", "sa_proj"}, job)
    hanging = harness.process_of_rank(job.pid, 3)
    os.kill(hanging, signal.SIGSTOP)
    said = job.communicate(timeout=120)[1]
    report.check(job.returncode != 0 and said.count("retain: rank") == 1, f"one rank speaks: {said}")
    report.check("rank 3 did not arrive" in said and "activity: group 2: recipe" in said, f"rank, group and what it did are named: {said}")


def check_wrong(report, folder, world):
    path = experiment(folder, "wrong", world, RECIPES[:1], [TASKS[:1]], [1, 2])
    for ranks, groups, expected in ((1, 2, "a multiple of 2 ranks"), (3, 2, "a multiple of 2 ranks"), (3, 3, "study.concurrent_branches"),
                                    (2, 0, "study.concurrent_branches"), (2, "'x'", "study.concurrent_branches")):
        for more in ([], ["--dry-run"]) if (ranks, groups) == (3, 2) else ([],):
            done = subprocess.run([*command(path, ranks, groups), *more], env=harness.ENVIRONMENT, capture_output=True, text=True, timeout=60)
            report.check(done.returncode == 1 and expected in done.stderr, f"{groups} groups of {ranks} ranks {more}: {done.returncode} {done.stderr}")
    path.write_text(path.read_text() + "[parallel]\ntensor = 2\n")
    done = subprocess.run(command(path, 2, 2), env=harness.ENVIRONMENT, capture_output=True, text=True, timeout=60)
    report.check(done.returncode == 1 and "tensor = 2, pipeline = 1 on 1 rank" in done.stderr, f"a mesh that a group cannot have: {done.stderr}")
    report.check(not store_of(path).exists(), "a store was made of a study that cannot be")


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        world = folder / "world"
        subprocess.run([MAKE_WORLD, "--out", world, "--digits", TINY / "digits.txt", "--skill", "16", "--test", "8"], check=True, capture_output=True)
        sizes = (RECIPES, [TASKS, [TASKS[1], TASKS[2], TASKS[0]], [TASKS[0], TASKS[2], TASKS[1]]], [1, 2])
        one_by_one = experiment(folder, "one_by_one", world, *sizes)
        run(one_by_one, 1, 1, timeout=1800)
        expected = outcome(one_by_one)
        print(f"{len(expected['stages']) - 1} stages, {len(expected['study']['branches'])} branches, {len(expected['results'])} results", flush=True)
        together = experiment(folder, "together", world, *sizes)
        done = run(together, 2, 2, timeout=1800)
        compare(report, outcome(together), expected, "side by side")
        report.check(all(f"group {group}: recipe" in done.stderr for group in (1, 2)), f"both groups taught: {done.stderr}")
        check_thinned_out(report, together, expected)
        check_kill(report, folder, world, sizes, expected)
        check_stop(report, folder, world)
        check_groups_of_two(report, folder, world)
        check_hanging_rank(report, folder, world)
        check_wrong(report, folder, world)
    report.end()


main()
