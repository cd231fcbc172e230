# SPDX-License-Identifier: Apache-2.0
"""A run asked to stop while it measures: stop.py RETAIN. It ends with status 3 before the next batch of questions, keeps what it has
measured, and the same command goes on to the figures of an undisturbed run. A command that saves nothing ends as signals end programs.
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

RETAIN = sys.argv[1]
RANKS = 2
BENCHMARKS = 40
QUESTIONS = 3  # one replica has two, the other one


def experiment(folder, name):
    lines = [f"[model]\npath = '{harness.MODEL / 'hub'}'", f"[store]\npath = '{folder / name}'", "[evaluate]\nbatch = 1"]
    lines += [f"[[benchmark]]\nname = 'b{i}'\ndata = '{harness.RUN / 'records.jsonl'}'\nmetric = 'exact_match'\nmax_new_tokens = {i + 1}\n"
              f"limit = {QUESTIONS}" for i in range(BENCHMARKS)]
    path = folder / f"{name}.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


def start(*arguments):
    return subprocess.Popen([*harness.launcher(RANKS), RETAIN, *map(str, arguments)], env=harness.ENVIRONMENT, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


def evaluations(store):
    return [path for path in (store / "results").glob("*") if '"score"' in path.read_text()] if (store / "results").exists() else []


def figures(store):
    """Scores and answers, whichever file they are in."""
    return sorted(json.dumps(json.loads(path.read_text())["value"], sort_keys=True) for path in evaluations(store))


def check_run(report, folder):
    path, store = experiment(folder, "stopped"), folder / "stopped"
    job = start("run", path)
    harness.wait_until(lambda: len(evaluations(store)) >= 2, job)
    os.kill(harness.process_of_rank(job.pid, RANKS - 1), signal.SIGUSR1)
    said = job.communicate(timeout=60)[1]
    measured = len(evaluations(store))
    report.check(job.returncode == 3, f"stopped with {job.returncode}: {said}")
    report.check("stopped while measuring" in said, said)
    report.check(2 <= measured < BENCHMARKS, f"{measured} of {BENCHMARKS} benchmarks were measured before it stopped")
    kept = {path.name: path.stat().st_mtime_ns for path in evaluations(store)}
    harness.run(RETAIN, "run", path, ranks=RANKS)
    report.check(len(evaluations(store)) == BENCHMARKS, "the same command goes on")
    report.check(all((store / "results" / name).stat().st_mtime_ns == when for name, when in kept.items()), "what was measured is kept")
    harness.run(RETAIN, "run", experiment(folder, "undisturbed"), ranks=RANKS)
    report.check(figures(store) == figures(folder / "undisturbed"), "figures differ from those of an undisturbed run")


def check_score(report, folder):
    """No handler where there is nothing to save: one SIGTERM ends it."""
    job = subprocess.Popen([RETAIN, "score", "--metric", "exact_match"], stdin=subprocess.PIPE, env=harness.ENVIRONMENT)
    time.sleep(1)
    job.terminate()
    report.check(job.wait(timeout=10) == -signal.SIGTERM, f"retain score, asked to end, ended with {job.returncode}")
    job.stdin.close()


def main():
    report = harness.Report()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        check_run(report, folder)
        check_score(report, folder)
    report.end()


main()
