"""What safety costs: a checkpoint after every epoch, and being ready to heal on two ranks.

    python tests/bench/safety_cost.py [--program build/release/elbow] [--rounds 5] [--epochs 4]

Runs with and without alternate, and the medians over rounds of each pair's ratio are shown, with their quartiles. A time is
result.json's: the whole run from its first step, evaluations and the last checkpoint included. The CPU time of all processes,
start and end included, is what the cost would be where no core is free for the writer; other work on the machine changes it less.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def launch_settings(program):
    lines = (program.parent / "launch.env").read_text().splitlines()
    return {key: value.strip("'") for key, value in (line.split("=", 1) for line in lines)}


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def seconds_of(command, words, epochs):
    """Wall and CPU time."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        environment = os.environ | {
            name: "1" for name in ("OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "PRTE_ALLOW_RUN_AS_ROOT",
                                   "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM")}
        before = cpu_seconds()
        subprocess.run([*command, "train", REPOSITORY / "configs/kl_vae.cfg", f"train.epochs={epochs}", "train.threads=1", *words,
                        "log.tensorboard=false", "--progress", "none", "--out", run], check=True, env=environment,
                       stdout=subprocess.DEVNULL)
        return json.loads((run / "result.json").read_text())["seconds"], cpu_seconds() - before


def compare(name, without, with_it, rounds, epochs):
    ratios = []
    for turn in range(rounds):
        pair = [without, with_it] if turn % 2 == 0 else [with_it, without]
        seconds = {id(side): seconds_of(*side, epochs) for side in pair}
        ratios.append([ours / plain for ours, plain in zip(seconds[id(with_it)], seconds[id(without)])])
    for kind, of_kind in zip(("of the run's time", "of its CPU time"), zip(*ratios)):
        low, middle, high = statistics.quantiles([100 * (ratio - 1) for ratio in of_kind], n=4)
        print(f"{name}: {middle:+.2f} % {kind} (quartiles {low:+.2f} and {high:+.2f}, {rounds} pairs)", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=REPOSITORY / "build/release/elbow")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=4)
    options = parser.parse_args()
    program = options.program.resolve()
    mpirun = [launch_settings(program)["ELBOW_MPIRUN"], "--oversubscribe", "--bind-to", "none", "-np", "2"]
    seldom = ["checkpoint.every_epochs=0", "checkpoint.keep_best=false"]
    for ranks, command in (("1 rank", []), ("2 ranks", mpirun)):
        compare(f"a checkpoint every epoch, {ranks}", ([*command, program], seldom),
                ([*command, program], ["checkpoint.every_epochs=1"]), options.rounds, options.epochs)
    compare("ready to heal, 2 ranks", ([*mpirun, program], [*seldom, "train.hang_timeout=none"]),
            ([*mpirun, "--with-ft", "ulfm", program], [*seldom, "train.hang_timeout=600"]), options.rounds, options.epochs)


main()
