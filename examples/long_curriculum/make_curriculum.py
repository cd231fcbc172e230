# SPDX-License-Identifier: Apache-2.0
"""Long curricula over the tiny world: make_curriculum.py WORLD OUT --tasks 20 [--seed 0].

A task teaches two answers of one skill; the skills take turns. When all answers of a skill have had their turn it comes back with
records not seen before, so any number of tasks can be made as long as records last. Writes OUT/train, OUT/test and OUT/curriculum.toml.
"""
import argparse
import json
import pathlib
import random
import sys

SKILLS = ("species", "count", "digits")
HELD_OUT = ("shape", "letter", "direction", "size", "kind", "describe", "verify", "exist")
ANSWERS_A_TASK = 2
TINY = pathlib.Path(__file__).resolve().parent.parent / "tiny"
HEAD = """# Written by make_curriculum.py: {tasks} tasks, seed {seed}.
[model]
path = {base}
[train]
learning_rate = 5e-4
global_batch  = {batch}
micro_batch   = 8
[[recipe]]
name = "llm"
[[recipe]]
name = "sa_proj"
[[recipe]]
name = "mlp_gate_up"
[evaluate]
batch = 25
[store]
path = "store"
"""


def read(file):
    """answer -> records."""
    records = {}
    for line in file.read_text().splitlines():
        record = json.loads(line)
        records.setdefault(record["conversations"][-1]["value"], []).append(record)
    return records


def plan(answers, tasks, seed):
    """(skill, visit, its answers) in teaching order. `answers`: skill -> all its answers."""
    names = {skill: sorted(answers[skill]) for skill in SKILLS}
    for skill in SKILLS:
        random.Random(f"{seed}/{skill}").shuffle(names[skill])
    planned = []
    for k in range(tasks):
        skill, visit = SKILLS[k % len(SKILLS)], k // len(SKILLS)
        pool = names[skill]
        taken = {pool[(visit * ANSWERS_A_TASK + i) % len(pool)] for i in range(ANSWERS_A_TASK)}
        planned.append((skill, visit, sorted(taken)))
    return planned


def share(records, planned, index):
    """The records of a task: of each of its answers an equal part of what all tasks with that answer get, none twice."""
    skill, _, answers = planned[index]
    mine = []
    for answer in answers:
        users = [k for k, (other, _, taken) in enumerate(planned) if other == skill and answer in taken]
        mine += records[skill][answer][users.index(index)::len(users)]
    return mine


def write(file, records):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(json.dumps(record) + "\n" for record in records))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("world", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--tasks", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch", type=int, default=16)
    options = parser.parse_args()
    world = options.world.resolve()
    train = {skill: read(world / "train" / f"{skill}.jsonl") for skill in SKILLS}
    test = {skill: read(world / "test" / f"{skill}.jsonl") for skill in SKILLS}
    planned = plan(train, options.tasks, options.seed)
    text = HEAD.format(tasks=options.tasks, seed=options.seed, base=json.dumps(str(TINY / "base")), batch=options.batch)
    for index, (skill, visit, answers) in enumerate(planned):
        name = f"{skill}{visit + 1}"
        records = share(train, planned, index)
        if len(records) < options.batch:
            sys.exit(f"task {name} has {len(records)} records, less than a global batch: fewer tasks, or a larger world")
        write(options.out / "train" / f"{name}.jsonl", records)
        write(options.out / "test" / f"{name}.jsonl", [record for answer in answers for record in test[skill].get(answer, [])][:50])
        text += f'[[task]]\nname = "{name}"\ntrain = "train/{name}.jsonl"\nimages = {json.dumps(str(world / "train"))}\n'
        text += f'[[benchmark]]\nname = "{name}"\ndata = "test/{name}.jsonl"\nimages = {json.dumps(str(world / "test"))}\nkind = "target"\n'
        text += f'metric = "{"count" if skill == "count" else "exact_match"}"\nmax_new_tokens = 4\n'
    for name in HELD_OUT:
        if (world / "test" / f"{name}.jsonl").exists():
            text += f'[[benchmark]]\nname = "{name}"\ndata = {json.dumps(str(world / "test" / f"{name}.jsonl"))}\nmax_new_tokens = 12\nlimit = 100\n'
    (options.out / "curriculum.toml").write_text(text)


main()
