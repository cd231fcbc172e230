# SPDX-License-Identifier: Apache-2.0
"""The kill campaign: SIGKILL strikes a random rank of `retain run` (while it teaches, commits or evaluates), or `retain store`
rollback, blend, merge or gc with and without retention rules, at random points. After every kill the store must verify clean and hold all it had; in the end the same
stages and results must be there as without any kill. recovery.py RETAIN KILLS SEED [RANKS]
"""
import collections
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN, KILLS, SEED = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
RANKS = int(sys.argv[4]) if len(sys.argv) > 4 else 2
RECIPES = ("sa_proj", "full")
COMMANDS = {"blend": ["blend", "STORE", "sa_proj", "full", "--alpha", "0.5", "--branch", "mixed"],
            "merge": ["merge", "STORE", "base", "sa_proj", "full", "--branch", "merged"],
            "rollback": ["rollback", "STORE", "full", "base"],  # the stage before may be one that gc thinned out
            "thin": ["gc", "STORE", "--keep-last", "1"],
            "gc": ["gc", "STORE", "--forget"]}
LAST = ("blend", "merge", "thin", "gc")  # after which all is as it is without kills


def write_experiment(folder, store):
    records = harness.RUN / "records.jsonl"
    path = folder / f"{store.name}.toml"
    path.write_text(f'''[model]
path = "{harness.MODEL / 'hub'}"
[parallel]
tensor = 2
[train]
learning_rate = 1e-3
global_batch = 2
epochs = 2
save_every = 4
[[recipe]]
name = "{RECIPES[0]}"
[[recipe]]
name = "{RECIPES[1]}"
[[task]]
name = "first"
train = "{records}"
[[task]]
name = "second"
train = "{records}"
seed = 1
[[benchmark]]
name = "answers"
data = "{records}"
max_new_tokens = 4
limit = 8
[[probe]]
data = "{records}"
limit = 4
[store]
path = "{store}"
[log]
path = "{store}.jsonl"
''')
    return path


class Target:
    """A store and the commands that work on it."""

    def __init__(self, folder, name):
        self.path = folder / name
        self.experiment = write_experiment(folder, self.path)

    def run(self, asynchronous=False):
        return harness.launcher(RANKS) + [RETAIN, "-q", "run", str(self.experiment), "--set",
                                          f"store.asynchronous={'true' if asynchronous else 'false'}"]

    def command(self, name):
        return [RETAIN, "-q", "store", *(str(self.path) if word == "STORE" else word for word in COMMANDS[name])]

    def heads(self):
        """What the branches name."""
        return {p.name: p.read_text().strip() for p in (self.path / "refs" / "heads").glob("*")}

    def changes(self):
        """Something that differs whenever the store has been changed."""
        marks = []
        for part in ("stages", "temporary", "refs/heads", "log/refs.jsonl", "log/pruned.jsonl", "results", "progress"):
            try:
                found = os.stat(self.path / part)
                marks.append((found.st_mtime_ns, found.st_size))
            except OSError:
                marks.append(None)
        return marks

    def is_writing(self):
        return any((self.path / "temporary").glob("*"))

    def outcome(self):
        """What must be equal: the study (stage ids, scores, probes), memoised results, stages, checkpoints, branches, log."""
        results = {p.name: json.loads(p.read_text())["value"] for p in (self.path / "results").glob("*")}
        lines = [json.loads(line) for line in pathlib.Path(f"{self.path}.jsonl").read_text().splitlines()]
        # The import of the base is memoised by file times, the rest by content.
        return {"study": json.loads((self.path / "study.json").read_text())["branches"],
                "results": {k: v for k, v in results.items() if not k.startswith("base-")},
                "stages": sorted(p.name for p in (self.path / "stages").iterdir()),
                "checkpoints": sorted(str(p.relative_to(self.path)) for p in (self.path / "progress").rglob("*.h5")),
                "branches": self.heads(),
                "log": sorted(str({k: v for k, v in line.items() if k != "seconds"}) for line in lines)}


def alive(pid):
    try:
        return "State:\tZ" not in pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def differences(found, expected):
    """What is not in both, shortened."""
    if isinstance(expected, dict):
        keys = [k for k in sorted(found.keys() | expected.keys()) if found.get(k) != expected.get(k)]
        return "; ".join(f"{k}: {str(found.get(k))[:300]} instead of {str(expected.get(k))[:300]}" for k in keys[:3])
    return "; ".join(str(item)[:300] for item in [*(x for x in found if x not in expected), *(x for x in expected if x not in found)][:3])


class Campaign:
    def __init__(self, folder):
        self.rng = random.Random(SEED)
        self.report = harness.Report()
        self.target = Target(folder, "killed")
        self.durations = {}
        self.kills = collections.Counter()
        self.writing = 0
        self.slowest = 0.0

    def undisturbed(self, folder):
        """Everything once without a kill: the expected outcome, and how long each command takes."""
        target = Target(folder, "undisturbed")
        for name, arguments in [("run", target.run())] + [(n, target.command(n)) for n in LAST]:
            start = time.monotonic()
            done = subprocess.run(arguments, env=harness.ENVIRONMENT, capture_output=True, text=True)
            self.durations[name] = time.monotonic() - start
            if done.returncode:
                sys.exit(f"{name} failed without any kill: {done.stderr}")
        self.durations["rollback"] = self.durations["gc"]
        return target.outcome()

    def wait_for_the_moment(self, process, name):
        """Half of the kills come at a random time, half right after a random change of the store."""
        end = time.monotonic() + 3 * self.durations[name]
        if self.rng.random() < 0.5:
            end = time.monotonic() + self.rng.uniform(0, self.durations[name])
            while process.poll() is None and time.monotonic() < end:
                time.sleep(0.001)
            return
        seen = self.target.changes()
        changes = self.rng.randint(1, 40 if name == "run" else 3)
        while process.poll() is None and changes > 0 and time.monotonic() < end:
            now = self.target.changes()
            changes -= now != seen
            seen = now
        time.sleep(self.rng.uniform(0, 0.02 if name == "run" else 0.003))

    def strike(self, name):
        """Starts a command and kills one of its processes. False when it had ended before."""
        target = self.target
        arguments = target.run(self.rng.random() < 0.5) if name == "run" else target.command(name)
        heads = target.heads()
        process = subprocess.Popen(arguments, env=harness.ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_for_the_moment(process, name)
        ranks = harness.ranks_of(process.pid) if name == "run" else [process.pid]
        while not ranks and process.poll() is None:  # mpirun has not started them yet
            ranks = harness.ranks_of(process.pid)
        if process.poll() is None:
            os.kill(self.rng.choice(ranks), signal.SIGKILL)
        start = time.monotonic()
        process.wait(timeout=600)
        waited = time.monotonic() - start
        self.slowest = max(self.slowest, waited)
        where = f"kill {self.kills.total() + 1} ({name})"
        self.report.check(waited < 20, f"{where}: the other ranks ended {waited:.0f} s later")
        while any(map(alive, ranks)) and time.monotonic() < start + 20:
            time.sleep(0.01)
        self.report.check(not any(map(alive, ranks)), f"{where}: a rank outlived its run")
        self.verify(where)
        for branch, stage in heads.items():
            self.report.check((target.path / "stages" / f"{stage}.h5").exists(), f"{where}: the stage of branch {branch} is gone")
        return process.returncode != 0 if name == "run" else process.returncode == -signal.SIGKILL

    def verify(self, where):
        if (self.target.path / "store.json").exists():
            done = harness.run(RETAIN, "store", "verify", self.target.path, check=False)
            self.report.check(done.returncode == 0, f"{where}: verify says {done.stdout}{done.stderr}")

    def choose(self):
        """Runs until all branches are there; then as often the command that was killed least."""
        if not all(name in self.target.heads() for name in RECIPES) or self.rng.random() < 0.5:
            return "run"
        return min(COMMANDS, key=lambda name: (self.kills[name], self.rng.random()))

    def fight(self):
        for _ in range(50 * KILLS):
            name = self.choose()
            if self.strike(name):
                self.kills[name] += 1
                self.writing += self.target.is_writing()
                if self.kills.total() % 25 == 0:
                    print(f"{self.kills.total()} of {KILLS} kills, {len(self.report.failures)} failures", flush=True)
            elif name == "run" and self.rng.random() < 0.5:
                shutil.rmtree(self.target.path)  # begin again
            if self.kills.total() == KILLS:
                return
        self.report.check(False, f"only {self.kills.total()} of {KILLS} kills struck")

    def finish(self, expected):
        for arguments in [self.target.run()] + [self.target.command(name) for name in LAST]:
            done = subprocess.run(arguments, env=harness.ENVIRONMENT, capture_output=True, text=True)
            self.report.check(done.returncode == 0, done.stderr)
        self.verify("at the end")
        found = self.target.outcome()
        for part in expected:
            self.report.check(found[part] == expected[part], f"{part} differ from those without kills: {differences(found[part], expected[part])}")


folder = pathlib.Path(tempfile.mkdtemp())
campaign = Campaign(folder)
expected = campaign.undisturbed(folder)
campaign.fight()
campaign.finish(expected)
shutil.rmtree(folder)
kills = ", ".join(f"{count} of {name}" for name, count in sorted(campaign.kills.items()))
print(f"seed {SEED}: {campaign.kills.total()} kills ({kills}), {campaign.writing} of them left a file half written; the other ranks "
      f"ended within {campaign.slowest:.1f} s; without kills the run takes {campaign.durations['run']:.1f} s")
campaign.report.end()
