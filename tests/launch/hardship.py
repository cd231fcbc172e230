# SPDX-License-Identifier: Apache-2.0
"""Whole runs under hardship: a file system that fills up, lost permissions, checkpoints that cannot be read, a read-only mount, a clock that is set back. Each is
named, nothing is lost, and the same command ends where an undisturbed run does. hardship.py RETAIN permission|mounts|clock
Mounts need root or user namespaces, the clock needs libfaketime; without them the status is 77 (skipped).
"""
import glob
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import harness

RETAIN, PART = sys.argv[1:3]
SKIPPED = 77


def skip(reason):
    print("skipped:", reason)
    sys.exit(SKIPPED)


def enter_namespace():
    """Starts this program again where it may mount."""
    for namespace in (["unshare", "-m"], ["unshare", "-Urm"]):
        if shutil.which("unshare") and subprocess.run(namespace + ["true"], capture_output=True).returncode == 0:
            os.execvp(namespace[0], namespace + [sys.executable, __file__, RETAIN, PART, "inside"])
    skip("mounts need root or user namespaces")


def like_any_owner():
    """Root without its right to pass over permissions."""
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []


def write_experiment(store):
    records = harness.RUN / "records.jsonl"
    path = store.parent / f"{store.name}.toml"
    tasks = "".join(f'[[task]]\nname = "{name}"\ntrain = "{records}"\nseed = {seed}\n' for seed, name in enumerate(("first", "second")))
    path.write_text(f'[model]\npath = "{harness.MODEL / "hub"}"\n[train]\nlearning_rate = 1e-3\nglobal_batch = 4\nsave_every = 1\n'
                    f'[[recipe]]\nname = "full"\n{tasks}[[benchmark]]\nname = "answers"\ndata = "{records}"\nlimit = 4\n'
                    f'max_new_tokens = 2\n[store]\npath = "{store}"\n')
    return path


class Hardship:
    def __init__(self, folder):
        self.folder = folder
        self.report = harness.Report()
        self.expected = None

    def run(self, store, prefix=(), environment=None, **options):
        return subprocess.run([*prefix, RETAIN, "-q", "run", str(write_experiment(store))], text=True, capture_output=True, timeout=120,
                              env=dict(harness.ENVIRONMENT, **(environment or {})), **options)

    def store(self, command, store, *arguments, prefix=(), environment=None):
        return subprocess.run([*prefix, RETAIN, "-q", "store", command, str(store), *map(str, arguments)], text=True, capture_output=True,
                              timeout=60, env=dict(harness.ENVIRONMENT, **(environment or {})))

    def outcome(self, store):
        heads = {p.name: p.read_text() for p in (store / "refs" / "heads").iterdir()}
        return heads, json.loads((store / "study.json").read_text())["branches"]

    def refused(self, done, reason, where):
        self.report.check(done.returncode == 1 and reason in done.stderr, f"{where}: ended with {done.returncode}: {done.stderr}")

    def clean(self, store, where):
        if (store / "store.json").exists():
            done = self.store("verify", store)
            self.report.check(done.returncode == 0, f"{where}: {done.stdout}{done.stderr}")

    def finishes(self, store, where, **how):
        done = self.run(store, **how)
        self.report.check(done.returncode == 0, f"{where}: {done.stderr}")
        self.clean(store, where)
        if done.returncode == 0:
            self.report.check(self.outcome(store) == self.expected, f"{where}: the outcome differs from an undisturbed run's")

    def full_disk(self):
        """The run meets the end of a real file system at another point each time; space is then given back."""
        mount = self.folder / "disk"
        mount.mkdir()
        needed = sum(f.stat().st_blocks * 512 for f in (self.folder / "undisturbed").rglob("*"))
        refused = 0
        for share in (0.02, 0.4, 0.7, 1.0, 1.15, 1.3, 2.0):
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={int(needed * share) // 4096 * 4096 + (1 << 20)}", "none", mount], check=True)
            where = f"a disk of {share:.0%} of what is needed"
            done = self.run(mount / "store")
            if done.returncode:
                refused += 1
                reason = "not enough space" if "not enough space" in done.stderr else "No space left on device"
                self.refused(done, reason, where)
            self.clean(mount / "store", where)
            subprocess.run(["mount", "-o", "remount,size=256m", mount], check=True)
            self.finishes(mount / "store", where + ", enlarged")
            subprocess.run(["umount", mount], check=True)
        self.report.check(refused >= 3, f"the disk was full {refused} times only")
        print(f"full disk: refused {refused} of 7 times")

    def read_only(self):
        store = self.folder / "frozen"
        shutil.copytree(self.folder / "undisturbed", store)
        subprocess.run(["mount", "--bind", store, store], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", store], check=True)
        for command, arguments in (("verify", []), ("log", []), ("show", ["full"]), ("diff", ["base", "full"]),
                                   ("export", ["full", self.folder / "exported"])):
            done = self.store(command, store, *arguments)
            self.report.check(done.returncode == 0, f"{command} on a read-only mount: {done.stderr}")
        for command, arguments in (("rollback", ["full"]), ("blend", ["base", "full", "--alpha", "0.5"]), ("gc", [])):
            self.refused(self.store(command, store, *arguments), "mounted read-only", f"{command} on a read-only mount")
        self.refused(self.run(store), "mounted read-only", "run on a read-only mount")
        subprocess.run(["umount", store], check=True)

    def lost_permission(self):
        prefix = like_any_owner()
        for part in ("stages", "temporary", "progress", "results", "refs/heads"):
            store = self.folder / f"locked-{part.replace('/', '-')}"
            self.report.check(harness.run(RETAIN, "import", harness.MODEL / "hub", store, check=False).returncode == 0, "import")
            (store / part).chmod(0o555)
            done = self.run(store, prefix=prefix)
            self.refused(done, "Permission denied", f"no permission in {part}")
            self.report.check(str(store / part) in done.stderr, f"{part} is not named: {done.stderr}")
            self.clean(store, f"no permission in {part}")
            (store / part).chmod(0o755)
            self.finishes(store, f"permission in {part} given back", prefix=prefix)

    def unreadable_checkpoint(self):
        """What cannot be read, whatever the reason, gives way to the checkpoint before; where all cannot be read nothing is begun anew."""
        store, prefix = self.folder / "unreadable", like_any_owner()
        process = subprocess.Popen([RETAIN, "-q", "run", str(write_experiment(store))], env=harness.ENVIRONMENT, stderr=subprocess.DEVNULL)
        while process.poll() is None and len(list((store / "progress").glob("*/*.h5"))) < 2:
            time.sleep(0.002)
        process.kill()  # in the middle of a stage
        process.wait()
        files = sorted((store / "progress").glob("*/*.h5"))
        if len(files) < 2:
            return self.report.check(False, f"the run could not be killed while it had two checkpoints: {files}")
        for file in files:
            file.chmod(0)
        done = self.run(store, prefix=prefix)
        self.refused(done, "Permission denied", "no checkpoint can be read")
        self.report.check(all(str(file) in done.stderr for file in files), f"they are not all named: {done.stderr}")
        self.report.check(sorted((store / "progress").glob("*/*.h5")) == files, "checkpoints that cannot be read are gone")
        for file in files[:-1]:
            file.chmod(0o644)
        done = self.run(store, prefix=prefix)
        self.report.check(done.returncode == 0, f"the newest checkpoint cannot be read: {done.stderr}")
        said = [line for line in done.stderr.splitlines() if str(files[-1]) in line]
        step = int(files[-2].stem.removeprefix("step-"))
        self.report.check(len(said) == 1 and f"goes on from step {step}" in said[0], f"the newest checkpoint cannot be read: {done.stderr}")
        self.finishes(store, "a checkpoint could not be read", prefix=prefix)

    def clock_set_back(self):
        libraries = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not libraries:
            skip("the clock needs libfaketime")
        library = libraries[0]
        store, clock = self.folder / "clock", self.folder / "clock.time"
        clock.write_text("+0")
        fake = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        process = subprocess.Popen([RETAIN, "-q", "run", str(write_experiment(store))], env=dict(harness.ENVIRONMENT, **fake),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while process.poll() is None and not any((store / "progress").glob("*/*.h5")):
            time.sleep(0.002)
        clock.write_text("-700d")  # in the middle of a stage
        _, errors = process.communicate(timeout=120)
        self.report.check(process.returncode == 0, f"the clock was set back in a run: {errors}")
        self.report.check(self.outcome(store) == self.expected, "the clock was set back in a run: the outcome differs")
        clock.write_text("-1400d")
        for command, arguments in (("rollback", ["full"]), ("rollback", ["full", "--undo"]), ("gc", []), ("verify", [])):
            done = self.store(command, store, *arguments, environment=fake)
            self.report.check(done.returncode == 0, f"{command} after the clock was set back: {done.stdout}{done.stderr}")
        times = [line.split()[0] for line in self.store("log", store, "--moves").stdout.splitlines()]
        self.report.check(times != sorted(times), f"the clock was not set back: {times}")
        self.finishes(store, "after the clock was set back", environment=fake)

    def face(self, part):
        self.finishes_undisturbed()
        for hardship in {"permission": [self.lost_permission, self.unreadable_checkpoint], "mounts": [self.full_disk, self.read_only], "clock": [self.clock_set_back]}[part]:
            hardship()

    def finishes_undisturbed(self):
        done = self.run(self.folder / "undisturbed")
        if done.returncode:
            sys.exit(done.stderr)
        self.expected = self.outcome(self.folder / "undisturbed")


if PART == "mounts" and len(sys.argv) == 3:
    enter_namespace()
folder = pathlib.Path(tempfile.mkdtemp())
hardship = Hardship(folder)
try:
    hardship.face(PART)
finally:
    shutil.rmtree(folder, ignore_errors=True)
hardship.report.end()
