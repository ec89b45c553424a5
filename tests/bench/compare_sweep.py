"""Runs elbow's sweep of kl_wt and its peers' in turn on the same two cores, and prints a table with ratios.

    compare_sweep.py                                        12 trials of 3 epochs on cores 0 and 1, three rounds
    compare_sweep.py --trials 24 --cores 2,3 --rounds 5
    compare_sweep.py --only elbow,jax,"jax vmap" --rounds 1

elbow is one sweep with a rank a core; each peer is one process a core, with every second of the trials. A round runs every
program once (A B C A B C ...). All measure -ELBO on the test images after each epoch; elbow alone writes checkpoints, events,
traces and a ledger. A JSON log goes into results/. Start it with the Python that README.md names.
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import compare

PEERS = {
    "pytorch": ["pytorch_sweep.py"],
    "pytorch compiled": ["pytorch_sweep.py", "--compile"],
    "pytorch vmap": ["pytorch_sweep.py", "--vmap"],
    "jax": ["jax_sweep.py"],
    "jax vmap": ["jax_sweep.py", "--vmap"],
}
TRAINING_IMAGES = 60_000


def start(command, cores, output, environment):
    return subprocess.Popen(["taskset", "-c", ",".join(map(str, cores)), *map(str, command)], stdin=subprocess.DEVNULL,
                            stdout=output, stderr=subprocess.STDOUT, env=environment)


def finish(process, output, command):
    """Returns the seconds of CPU that it and all that it started took."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        output.seek(0)
        raise SystemExit(f"compare_sweep: {' '.join(map(str, command))} ended with code {process.returncode}:\n"
                         + output.read()[-2000:])
    return usage.ru_utime + usage.ru_stime


def ledger_seconds(ledger):
    """From the first trial's start to the last one's end, as the sweep itself wrote them down."""
    entries = [json.loads(line) for line in ledger.read_text().splitlines()]
    times = [datetime.datetime.fromisoformat(entry[key]) for entry in entries for key in ("datetime_start", "datetime_complete")
             if entry.get(key)]
    return (max(times) - min(times)).total_seconds()


def run_elbow(options):
    mpirun = (options.elbow.parent / "launch.env").read_text().split("ELBOW_MPIRUN='")[1].split("'")[0]
    environment = {**os.environ, "OMP_NUM_THREADS": "1",
                   **{f"{name}_ALLOW_RUN_AS_ROOT{more}": "1" for name in ("OMPI", "PRTE") for more in ("", "_CONFIRM")}}
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile("w+") as output:
        out = pathlib.Path(folder, "sweep")
        command = [mpirun, "--oversubscribe", "--bind-to", "none", "-np", len(options.cores), options.elbow, "sweep",
                   compare.REPOSITORY / "configs" / "sweep_kl.cfg", f"train.epochs={options.epochs}", "sweep.repeats=1",
                   f"sweep.objective.kl_wt=logspace(1e-4,1e-1,{options.trials})", *options.words, "--progress", "none",
                   "--out", out]
        started = time.perf_counter()
        cpu = finish(start(command, options.cores, output, environment), output, command)
        seconds = time.perf_counter() - started
        runs = [json.loads((trial / "result.json").read_text()) for trial in sorted((out / "trials").iterdir())]
        if len(runs) != options.trials or any(run["status"] != "complete" for run in runs):
            raise SystemExit("compare_sweep: not every trial of elbow's sweep is complete")
        lines = [json.loads(line) for trial in sorted((out / "trials").iterdir())
                 for line in (trial / "metrics.jsonl").read_text().splitlines()]
        elbos = [line["elbo_nats"] for line in lines if line["split"] == "test" and line["epoch"] == options.epochs]
        examples = TRAINING_IMAGES * options.epochs * options.trials
        return {"wall": examples / seconds, "started": examples / ledger_seconds(out / "ledger.jsonl"), "per_cpu_s": examples / cpu,
                "elbo": statistics.mean(elbos)}


def run_peer(options, name):
    program, *flags = PEERS[name]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    cores = options.cores
    started, running = time.perf_counter(), []
    for index, core in enumerate(cores):
        command = [sys.executable, compare.HERE / "peers" / program, *flags, "--trials", options.trials, "--epochs",
                   options.epochs, "--share", f"{index}/{len(cores)}"]
        output = tempfile.TemporaryFile("w+")  # pylint: disable=consider-using-with
        running.append((start(command, [core], output, environment), output, command))
    cpu = sum(finish(*one) for one in running)
    seconds = time.perf_counter() - started
    reports = []
    for _, output, _ in running:
        output.seek(0)
        reports.append(json.loads(output.read().splitlines()[-1]))
    examples = sum(report["model_examples"] for report in reports)
    return {"wall": examples / seconds,
            "started": sum(report["examples_after_first_epoch"] / report["seconds_after_first_epoch"] for report in reports),
            "per_cpu_s": examples / cpu, "elbo": statistics.mean(elbo for report in reports for elbo in report["elbo_nats"])}


def measure(options):
    runs = []
    for number in range(1, options.rounds + 1):
        for name in options.only:
            result = run_elbow(options) if name == "elbow" else run_peer(options, name)
            runs.append({"program": name, "round": number, "load": compare.load_average(), **result})
            print(f"round {number}: {name:16s} {result['wall']:8.0f} model-examples/s", file=sys.stderr, flush=True)
    return runs


def ratio(runs, name, key):
    ours = {run["round"]: run[key] for run in runs if run["program"] == "elbow"}
    pairs = [ours[run["round"]] / run[key] for run in runs if run["program"] == name and run["round"] in ours]
    return statistics.median(pairs) if pairs else None


def table(runs):
    yield (f"{'':16s} {'whole program':>22s} {'without its start':>22s} {'per second of CPU':>22s}    mean ELBO\n"
           f"{'':16s} " + f"{'examples/s':>12s} {'elbow/it':>9s} " * 3)
    for name in dict.fromkeys(run["program"] for run in runs):
        cells = []
        for key in ("wall", "started", "per_cpu_s"):
            value = ratio(runs, name, key)
            rate = statistics.median(run[key] for run in runs if run["program"] == name)
            cells.append(f"{rate:12.0f} {f'{value:.2f}' if value else '-':>9s}")
        elbo = statistics.mean(run["elbo"] for run in runs if run["program"] == name)
        yield f"{name:16s} {' '.join(cells)} {elbo:12.2f}"
    peers = [name for name in dict.fromkeys(run["program"] for run in runs) if name != "elbow"]
    ratios = {name: ratio(runs, name, "wall") for name in peers}
    if peers and all(ratios.values()):
        best = min(ratios, key=ratios.get)
        yield f"elbow is {ratios[best]:.2f} times as fast as the best of them, {best}"


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="key=value, for elbow's sweep")
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--cores", default="0,1")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(["elbow", *PEERS]), help="comma-separated: %(default)s")
    parser.add_argument("--elbow", type=pathlib.Path, default=compare.REPOSITORY / "build" / "release" / "elbow")
    parser.add_argument("--note", default="", help="kept in the log, such as what else the machine was doing")
    parser.add_argument("--results", type=pathlib.Path, default=compare.HERE / "results", help="folder of the log")
    options = parser.parse_args()
    options.cores = [int(core) for core in options.cores.split(",")]
    options.only = options.only.split(",")
    if unknown := set(options.only) - {"elbow", *PEERS}:
        parser.error(f"--only has {', '.join(sorted(unknown))}; it knows elbow, {', '.join(PEERS)}")
    if missing := set(options.cores) - os.sched_getaffinity(0):
        parser.error(f"--cores has {sorted(missing)}, which this machine lacks or this process may not use")
    if options.trials < 2 * len(options.cores) or options.epochs < 2:
        parser.error("each core needs two trials at least, of two epochs: the first holds compilation")
    options.elbow = options.elbow.resolve()
    return options


def main():
    options = parse_arguments()
    began = datetime.datetime.now(datetime.timezone.utc)
    load = compare.load_average()
    runs = measure(options)
    options.results.mkdir(parents=True, exist_ok=True)
    path = options.results / f"sweep-{began:%Y-%m-%dT%H%M%SZ}.json"
    path.write_text(json.dumps({"date": began.isoformat(timespec="seconds"), "cpu": compare.cpu_model(), "cores": options.cores,
                                "trials": options.trials, "epochs": options.epochs, "words": options.words, "load_before": load,
                                "load_after": compare.load_average(), "note": options.note, "runs": runs}, indent=1) + "\n")
    print("\n".join(table(runs)))
    print(f"{compare.cpu_model()}, cores {','.join(map(str, options.cores))}; load average {load} before, "
          f"{compare.load_average()} after\nlog {path}")


if __name__ == "__main__":
    main()
