"""How long a small run takes to start on 1, 4 and 16 ranks of this machine, and where the time goes.

Usage: startup.py [--ranks 1,4,16] [--rounds 3] [--launcher launch/elbow]. Prints a table in seconds; of the rounds the one with
the shortest total counts. Times come from the lines that --verbose prints, and of several ranks the slowest counts in each phase.
`CPU` is the processor time of all processes together, which other work on the machine does not lengthen as much.
"""

import argparse
import datetime
import os
import pathlib
import re
import resource
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINE = re.compile(r"^(\S+Z) \S+ rank (\d+) \+([\d.]+)s  (.*)$", re.MULTILINE)
# What ends each phase; the text of a log line, and what came before it.
PHASES = [
    ("mpirun", None),  # until the slowest process exists
    ("load", None),  # libraries of the process, until MPI begins
    ("MPI", "is up"),
    ("settings", "has the configuration"),
    ("data", "has the data"),
    ("device", "computes on"),
    ("trainer", "is ready to train"),
    ("folder", "trains from step"),
    ("train", "epoch 1 is done"),
    ("write", "leaves with exit code"),
    ("exit", None),  # until the launcher has returned
]
SMALL = ["data.source=synthetic", "data.examples=2048", "data.test_examples=256", "model.encoder=16", "model.decoder=16",
         "train.epochs=1", "train.threads=1", "train.batch_size=256", "--progress", "none", "--verbose"]


def unix_time(stamp):
    return datetime.datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def times_of(text, begin, end):
    """Seconds of each phase, from the log lines of all ranks."""
    marks = {}  # phase: when its last rank was through
    first = {"mpirun": 0.0, "load": 0.0}
    for stamp, _, since_start, sentence in LINE.findall(text):
        now = unix_time(stamp)
        for phase, mark in PHASES:
            if mark and mark in sentence:
                marks[phase] = max(marks.get(phase, 0.0), now)
        if "is up" in sentence:
            mpi = float(re.search(r"took ([\d.]+) s", sentence).group(1))
            first["mpirun"] = max(first["mpirun"], now - float(since_start))
            first["load"] = max(first["load"], now - mpi)
    marks.update(first)
    marks["exit"] = end
    seconds, last = {}, begin
    for phase, _ in PHASES:
        seconds[phase] = marks[phase] - last
        last = marks[phase]
    return seconds


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def start(launcher, ranks):
    """Seconds of each phase of one launch, and its processor time."""
    cpu = cpu_seconds()
    with tempfile.TemporaryDirectory() as folder:
        command = [str(launcher)] + (["-n", str(ranks)] if ranks > 1 else [])
        begin = time.time()
        done = subprocess.run(command + ["train", *SMALL, "--out", f"{folder}/run"], capture_output=True, text=True, cwd=folder)
        end = time.time()
    if done.returncode != 0:
        raise SystemExit(f"{ranks} ranks: exit code {done.returncode}\n{done.stderr}")
    return times_of(done.stderr, begin, end), cpu_seconds() - cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", default="1,4,16")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--launcher", default=ROOT / "launch/elbow")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; seconds")
    names = [name for name, _ in PHASES]
    print(f"{'ranks':>5} {'CPU':>7} {'all':>7} " + " ".join(f"{name:>8}" for name in names))
    for ranks in [int(number) for number in arguments.ranks.split(",")]:
        rounds = [start(arguments.launcher, ranks) for _ in range(arguments.rounds)]
        best, cpu = min(rounds, key=lambda one: sum(one[0].values()))
        print(f"{ranks:>5} {cpu:>7.2f} {sum(best.values()):>7.2f} " + " ".join(f"{best[name]:>8.2f}" for name in names))


main()
