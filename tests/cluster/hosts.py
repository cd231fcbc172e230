# SPDX-License-Identifier: Apache-2.0
"""Training on several hosts, whose links are cut and slowed, and whose ranks fail: hosts.py RETAIN WATCHDOG_JOB.

Hosts are network namespaces (hosts.sh); needs root. Every run must end with the stages of a run on one host, or within the watchdog's
time with one message that names the cause, nothing left behind, and go on from there when it is started again.
"""
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "support"))
import harness

RETAIN, WATCHDOG_JOB = (os.path.abspath(program) for program in sys.argv[1:3])
LAUNCHER = HERE.parent.parent / "launch" / "cluster" / "mpirun.sh"
NETWORK = "10.77.0.0/24"
ENVIRONMENT = {**harness.ENVIRONMENT, "RETAIN_BIND": "none", "OMPI_MCA_plm_rsh_agent": str(HERE / "remote_shell.sh"),
               "OMPI_MCA_btl": "tcp,self", "OMPI_MCA_btl_tcp_if_include": NETWORK, "OMPI_MCA_oob_tcp_if_include": NETWORK}
HOSTS = 4
WATCHDOG = 10
CUT_WATCHDOG = 6  # and three seconds for ranks that may know more: before keep-alive (14 s) has the launcher end a job without a word
GRACE = 20  # seconds for the ranks to end one another, and for mpirun to notice, on a busy machine


def address(host):
    return f"10.77.0.{host}"


def inside(host, *command):
    return ["ip", "netns", "exec", f"retain{host}", *map(str, command)]


def experiment(folder, store, pipeline, epochs=30, watchdog=WATCHDOG):
    path = folder / f"{store}.toml"
    path.write_text(f'''[model]
path = "{harness.MODEL / 'hub'}"
[parallel]
tensor = 2
pipeline = {pipeline}
watchdog_seconds = {watchdog}
[train]
learning_rate = 1e-3
global_batch = 2
epochs = {epochs}
save_every = 20
[[recipe]]
name = "sa_proj"
[[task]]
name = "counting"
train = "{harness.RUN / 'records.jsonl'}"
[[benchmark]]
name = "answers"
data = "{harness.RUN / 'records.jsonl'}"
max_new_tokens = 4
[store]
path = "{store}"
''')
    return path


class Job:
    """A launched job; its words go to a file, which a daemon left on another host cannot keep open for us."""

    def __init__(self, folder, hosts, ranks_a_host, program, *arguments):
        hostfile = folder / f"{hosts}-{ranks_a_host}.hosts"
        hostfile.write_text("".join(f"{address(host)} slots={ranks_a_host}\n" for host in range(1, hosts + 1)))
        self.words = tempfile.TemporaryFile("w+")
        command = inside(1, LAUNCHER, hostfile, hosts * ranks_a_host, *arguments)
        self.process = subprocess.Popen(command, env={**ENVIRONMENT, "RETAIN": program}, stdout=self.words, stderr=self.words)

    def finish(self, seconds):
        """Status (None: it did not end and was killed), both streams, and the seconds it took."""
        begin = time.monotonic()
        try:
            status = self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            status = None
            for signal_of in (signal.SIGUSR1, signal.SIGTERM):  # the second one ends it
                self.process.send_signal(signal_of)
                time.sleep(2)
        self.words.seek(0)
        return status, self.words.read(), time.monotonic() - begin


def outcome(store):
    study = json.loads((store / "study.json").read_text())["branches"]
    return study, sorted(path.name for path in (store / "stages").iterdir())


def ranks_alive(program):
    done = subprocess.run(["pgrep", "-f", f"^{re.escape(program)}( |$)"], capture_output=True, text=True)
    return [int(line) for line in done.stdout.split()]


def wait_until_gone(program, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and ranks_alive(program):
        time.sleep(0.1)
    return not ranks_alive(program)


def wait_for_steps(log, steps):
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (log.exists() and log.read_text().count("\n") >= steps):
        time.sleep(0.05)


def teach(hosts, ranks_a_host, path, log=None):
    return Job(path.parent, hosts, ranks_a_host, RETAIN, "-q", "run", path, *(["--log", log] if log else []))


def hosts_do_not_change_the_result(report, folder):
    expected = {}
    for pipeline in (1, 2):
        path = experiment(folder, f"one-host-{pipeline}", pipeline)
        harness.run(RETAIN, "-q", "run", path, ranks=2 * pipeline, timeout=300)
        expected[pipeline] = outcome(folder / f"one-host-{pipeline}")
    for hosts, ranks_a_host in ((2, 1), (2, 2), (4, 1)):
        pipeline = hosts * ranks_a_host // 2
        name = f"hosts-{hosts}-{ranks_a_host}"
        status, text, _ = teach(hosts, ranks_a_host, experiment(folder, name, pipeline)).finish(300)
        report.check(status == 0, f"{name}: {status}: {text}")
        report.check(status != 0 or outcome(folder / name) == expected[pipeline], f"{name}: not what one host computes")
    return expected


def a_slow_link(report, folder, expected):
    """One host's link at 50 Mbit/s from the middle of a stage on: slower, and the same."""
    log = folder / "slow.jsonl"
    job = teach(2, 1, experiment(folder, "slow", 1), log)
    wait_for_steps(log, 3)
    subprocess.run(["tc", "-n", "retain2", "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", "50mbit", "burst", "32k", "latency", "200ms"],
                   check=True)
    status, text, seconds = job.finish(300)
    subprocess.run(["tc", "-n", "retain2", "qdisc", "del", "dev", "eth0", "root"], check=True)
    print(f"slow link: {seconds:.1f} s from the slowing to the end")
    report.check(status == 0, f"slow link: {status}: {text}")
    report.check(status != 0 or outcome(folder / "slow") == expected[1], "slow link: another result")


def a_cut_link(report, folder, expected, hosts):
    """The last host's link goes down in the middle of a stage: the run ends, says why, and goes on when the link is back."""
    name, pipeline = f"cut-{hosts}", hosts // 2
    log, path = folder / f"{name}.jsonl", experiment(folder, name, pipeline, watchdog=CUT_WATCHDOG)
    job = teach(hosts, 1, path, log)
    wait_for_steps(log, 6)
    subprocess.run(["ip", "-n", f"retain{hosts}", "link", "set", "eth0", "down"], check=True)
    status, text, seconds = job.finish(WATCHDOG + GRACE + 60)
    gone = wait_until_gone(RETAIN, WATCHDOG + GRACE)
    subprocess.run(["ip", "-n", f"retain{hosts}", "link", "set", "eth0", "up"], check=True)
    print(f"cut link, {hosts} hosts: ended {seconds:.1f} s after the cut with status {status}")
    report.check(status not in (0, 3, None), f"{name}: ended with {status}")
    report.check(seconds < WATCHDOG + GRACE, f"{name}: ended after {seconds:.1f} s")
    report.check(gone, f"{name}: ranks are left: {ranks_alive(RETAIN)}")
    report.check(re.search(r"rank \d did not arrive", text) and "recipe sa_proj, task counting, step" in text, f"{name}: {text}")
    done = harness.run(RETAIN, "store", "verify", folder / name, check=False)
    report.check(done.returncode == 0, f"{name}: {done.stdout}{done.stderr}")
    status, text, _ = teach(hosts, 1, path, log).finish(300)
    report.check(status == 0, f"{name} again: {text}")
    report.check(status != 0 or outcome(folder / name) == expected[pipeline], f"{name}: another result after the cut")


def failing_ranks(report, folder):
    """One of four ranks on two hosts dies, sleeps, throws, or does something else than the others."""
    expected = {"sleep": "rank 3 did not arrive", "throw": "rank 3 of 4: [data_invalid] record 7 has no answer",
                "other_operation": "called different operations", "kill": "the process of rank 3 has ended",
                "exit": "the process of rank 3 has ended"}
    for fault, message in expected.items():
        status, text, seconds = Job(folder, 2, 2, WATCHDOG_JOB, fault).finish(60)
        print(f"{fault} on one of four ranks, two hosts: ended after {seconds:.1f} s with status {status}")
        report.check(status not in (0, None), f"{fault}: ended with {status}")
        report.check(seconds < 3 + GRACE, f"{fault}: ended after {seconds:.1f} s")
        report.check(message in text and text.count("retain: rank") <= 1, f"{fault}: {text}")
        report.check(wait_until_gone(WATCHDOG_JOB, 10), f"{fault}: ranks are left")


def a_stopped_rank(report, folder):
    """kill -STOP of one of four ranks on two hosts while it teaches."""
    log = folder / "stopped.jsonl"
    job = teach(2, 2, experiment(folder, "stopped", 2, epochs=1000), log)
    wait_for_steps(log, 6)
    victim = max(ranks_alive(RETAIN))
    os.kill(victim, signal.SIGSTOP)
    status, text, seconds = job.finish(WATCHDOG + GRACE + 30)
    print(f"stopped rank: ended {seconds:.1f} s later with status {status}")
    report.check(status not in (0, 3, None) and seconds < WATCHDOG + GRACE, f"stopped rank: {status} after {seconds:.1f} s")
    report.check("did not arrive" in text and "recipe sa_proj, task counting, step" in text, f"stopped rank: {text}")
    report.check(wait_until_gone(RETAIN, 10), "stopped rank: ranks are left")


def main():
    report = harness.Report()
    subprocess.run([HERE / "hosts.sh", "down"], check=True)
    subprocess.run([HERE / "hosts.sh", "up", str(HOSTS)], check=True)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch)
            expected = hosts_do_not_change_the_result(report, folder)
            a_slow_link(report, folder, expected)
            a_cut_link(report, folder, expected, 2)
            a_cut_link(report, folder, expected, 4)
            failing_ranks(report, folder)
            a_stopped_rank(report, folder)
    finally:
        subprocess.run([HERE / "hosts.sh", "down"], check=True)
    report.end()


main()
