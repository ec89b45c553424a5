"""Runs elbow and its peers in turn on the same cores, several rounds, and prints a table with ratios.

    compare.py                                      W1 and W2 on core 0, three rounds
    compare.py --workload W1x16 --cores 2,3 --rounds 5
    compare.py --only elbow,jax                     some of the programs
    compare.py --together --only elbow,jax          taking turns of half a second: for machines that are not quiet

A round runs every program once (A B C A B C ...), so that a machine that slows down or is shared slows all of them.
Where it does so within a round, run them together: one after another goes on for half a second while the others are stopped,
and the rates per CPU second compare what each did with its part of the same minutes.
A JSON log with the circumstances goes into results/. Start it with the Python that README.md names.
"""
import argparse
import concurrent.futures
import contextlib
import dataclasses
import datetime
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
REPOSITORY = HERE.parents[1]
BATCH_SIZE = 128
CONFIGURATIONS = {"W1": "kl_vae.cfg", "W2": "pytorch_examples.cfg"}  # elbow's; W1x16 is for the peers alone
turns = None  # where programs run together
PEERS = {
    "eager": ["pytorch_vae.py"],
    "eager medium": ["pytorch_vae.py", "--precision", "medium"],
    "compiled": ["pytorch_vae.py", "--compile"],
    "compiled medium": ["pytorch_vae.py", "--compile", "--precision", "medium"],
    "jax": ["jax_vae.py"],
}


@dataclasses.dataclass
class Finished:
    """A program that has ended, with the peak that the kernel counted for it."""

    output: str
    peak_rss_mb: float


class Turns:
    """Processes of which one runs at a time, each for half a second."""

    def __init__(self):
        self.pids = []
        self.lock = threading.Lock()
        threading.Thread(target=self._rotate, daemon=True).start()

    def add(self, pid):
        with self.lock:
            os.kill(pid, signal.SIGSTOP)
            self.pids.append(pid)

    def remove(self, pid):
        with self.lock:
            self.pids.remove(pid)

    def _signal(self, pid, number):
        with self.lock, contextlib.suppress(ProcessLookupError):
            if pid in self.pids:
                os.kill(pid, number)

    def _rotate(self):
        while True:
            for pid in list(self.pids) or [None]:
                self._signal(pid, signal.SIGCONT)
                time.sleep(0.5)
                self._signal(pid, signal.SIGSTOP)


def run(command, cores, watch=lambda pid: None):
    """Runs `command` on `cores`, one thread a core, and calls `watch` now and then; one sentence where it fails."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(len(cores))}
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(["taskset", "-c", ",".join(map(str, cores)), *map(str, command)],
                                   stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment)
        if turns:
            turns.add(process.pid)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            watch(process.pid)
            time.sleep(0.01)
        _, status, usage = ended
        if turns:
            turns.remove(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        if process.returncode != 0:
            errors.seek(0)
            raise SystemExit(f"compare: {' '.join(map(str, command))} ended with code {process.returncode}:\n"
                             + errors.read()[-2000:])
        return Finished(output.read(), usage.ru_maxrss / 1024)


class CpuOfLines:
    """A process's CPU seconds at each line of a file."""

    def __init__(self, path):
        self.path = path
        self.seconds = []

    def __call__(self, pid):
        try:
            lines = self.path.read_bytes().count(b"\n")
            user, system = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:13]
        except FileNotFoundError:
            return
        now = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
        self.seconds += [now] * (lines - len(self.seconds))


def run_elbow(program, workload, epochs, cores):
    """The one place that knows how elbow is measured: a short training, of which the first epoch is left out."""
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "run")
        cpu = CpuOfLines(out / "metrics.jsonl")
        finished = run([program, "train", REPOSITORY / "configs" / CONFIGURATIONS[workload], f"train.epochs={epochs}",
                        "--progress", "none", "--out", out], cores, cpu)
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        versions = json.loads((out / "manifest.json").read_text())["versions"]
    train = [line for line in lines if line["split"] == "train"]
    # An epoch's two lines, of training and test, are written when both are done.
    measured = sum(line["seconds"] for line in lines if line["epoch"] > 1)
    first = lines.index(train[1]) - 1
    steps = train[0]["step"]
    return {
        "workload": workload,
        "examples_per_s": [line["examples_per_s"] for line in train[1:]],
        "step_ms": 1e3 * statistics.median(line["seconds"] for line in train[1:]) / steps,
        "cpu_share": (cpu.seconds[-1] - cpu.seconds[first]) / measured if len(cpu.seconds) == len(lines) else None,
        "peak_rss_mb": finished.peak_rss_mb,
        "losses": [train[-1]["loss"]],
        "epochs": epochs,
        "versions": {key: versions[key] for key in ("elbow", "git_revision", "libtorch", "compiler")},
    }


def run_peer(name, workload, epochs, cores):
    program, *flags = PEERS[name]
    command = [sys.executable, HERE / "peers" / program, *flags, "--workload", workload, "--epochs", epochs, "--json"]
    return json.loads(run(command, cores).output.splitlines()[-1])


def load_average():
    return round(os.getloadavg()[0], 2)


def percent(share):
    return "-" if share is None else f"{100 * share:.0f}%"


def compare(options, workload):
    """Returns a list of runs, each with its program and round."""
    names = [name for name in options.only if name != "elbow" or workload in CONFIGURATIONS]
    runs = []

    def one(number, name):
        load = load_average()
        result = (run_elbow(options.elbow, workload, options.epochs, options.cores) if name == "elbow" else
                  run_peer(name, workload, options.epochs, options.cores))
        runs.append({"program": name, "round": number, "load_before": load, **result})
        print(f"{workload} round {number}: {name:16s} {statistics.median(result['examples_per_s']):8.0f} examples/s, "
              f"CPU {percent(result['cpu_share'])}", file=sys.stderr, flush=True)

    with concurrent.futures.ThreadPoolExecutor(len(names) if options.together else 1) as pool:
        for number in range(1, options.rounds + 1):
            for done in [pool.submit(one, number, name) for name in names]:
                done.result()
    return sorted(runs, key=lambda run_: (run_["round"], names.index(run_["program"])))


def wall_rate(run_):
    return statistics.median(run_["examples_per_s"])


def cpu_rate(run_):
    """The rate that the program would have had with its cores to itself, nearly: other work also takes cache."""
    return statistics.harmonic_mean(run_["examples_per_s"]) / min(1.0, run_["cpu_share"]) if run_["cpu_share"] else None


def median_of_known(values):
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None


def ratio(rate, elbow, row):
    """The median over rounds of elbow's rate over the program's in the same round, None where one is unknown."""
    pairs = ((rate(ours), rate(its)) for ours, its in zip(elbow, row))
    return median_of_known(ours / its if ours and its else None for ours, its in pairs)


def summarise(runs):
    """One row a program, over all measured epochs of all rounds."""
    rows = {}
    for run_ in runs:
        rows.setdefault(run_["program"], []).append(run_)
    elbow = rows.get("elbow", [])
    summary = []
    for name, row in rows.items():
        rates = [rate for run_ in row for rate in run_["examples_per_s"]]
        summary.append({
            "program": name,
            "examples_per_s": statistics.median(rates), "lowest": min(rates), "highest": max(rates),
            "elbow_ratio": ratio(wall_rate, elbow, row),
            "cpu_share": min((run_["cpu_share"] for run_ in row if run_["cpu_share"]), default=None),
            "examples_per_cpu_s": median_of_known(map(cpu_rate, row)),
            "elbow_ratio_per_cpu_s": ratio(cpu_rate, elbow, row),
            "step_ms": statistics.median(run_["step_ms"] for run_ in row),
            "peak_rss_mb": max(run_["peak_rss_mb"] for run_ in row),
            "loss": statistics.mean(loss for run_ in row for loss in run_["losses"]),
        })
    return summary


def table(workload, summary):
    yield (f"{workload:16s} examples/s   lowest  highest  elbow/it    CPU   per CPU s  elbow/it  ms a step  "
           "peak MB      loss")
    for row in summary:
        wall, cpu = (f"{row[key]:.2f}" if row[key] else "-" for key in ("elbow_ratio", "elbow_ratio_per_cpu_s"))
        cpu_rate_ = f"{row['examples_per_cpu_s']:.0f}" if row["examples_per_cpu_s"] else "-"
        yield (f"{row['program']:16s} {row['examples_per_s']:10.0f} {row['lowest']:8.0f} {row['highest']:8.0f} {wall:>9s} "
               f"{percent(row['cpu_share']):>6s} {cpu_rate_:>11s} {cpu:>9s} {row['step_ms']:10.3f} "
               f"{row['peak_rss_mb']:8.0f} {row['loss']:9.4f}")


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", action="append", choices=["W1", "W2", "W1x16"], help="default: W1 and W2")
    parser.add_argument("--cores", default="0", help="comma-separated; each program gets these and no others")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--together", action="store_true", help="the programs of a round by turns of half a second")
    parser.add_argument("--epochs", type=int, default=5, help="in each run; the first is left out")
    parser.add_argument("--only", default=",".join(["elbow", *PEERS]), help="comma-separated: %(default)s")
    parser.add_argument("--elbow", type=pathlib.Path, default=REPOSITORY / "build" / "release" / "elbow")
    parser.add_argument("--note", default="", help="kept in the log, such as what else the machine was doing")
    parser.add_argument("--results", type=pathlib.Path, default=HERE / "results", help="folder of the log")
    options = parser.parse_args()
    options.workload = options.workload or ["W1", "W2"]
    options.only = options.only.split(",")
    if unknown := set(options.only) - {"elbow", *PEERS}:
        parser.error(f"--only has {', '.join(sorted(unknown))}; it knows elbow, {', '.join(PEERS)}")
    try:
        options.cores = [int(core) for core in options.cores.split(",")]
    except ValueError:
        parser.error(f"--cores needs numbers with commas between them, but has '{options.cores}'")
    if missing := set(options.cores) - os.sched_getaffinity(0):
        parser.error(f"--cores has {sorted(missing)}, which this machine lacks or this process may not use")
    if options.rounds < 1 or options.epochs < 2:
        parser.error("--rounds must be 1 or more and --epochs 2 or more")
    if "elbow" in options.only and not os.access(options.elbow, os.X_OK):
        parser.error(f"{options.elbow} is not there: build it, or name another with --elbow")
    return options


def main():
    global turns  # pylint: disable=global-statement
    options = parse_arguments()
    turns = Turns() if options.together else None
    started = datetime.datetime.now(datetime.timezone.utc)
    log = {"date": started.isoformat(timespec="seconds"), "cpu": cpu_model(), "machine_cores": os.cpu_count(),
           "cores": options.cores, "rounds": options.rounds, "together": options.together,
           "batch_size": BATCH_SIZE, "kernel": platform.release(),
           "load_before": load_average(), "note": options.note, "workloads": {}}
    path = options.results / f"{started:%Y-%m-%dT%H%M%SZ}.json"
    options.results.mkdir(parents=True, exist_ok=True)
    for workload in options.workload:
        runs = compare(options, workload)
        summary = summarise(runs)
        log["workloads"][workload] = {"summary": summary, "runs": runs}
        log["load_after"] = load_average()
        path.write_text(json.dumps(log, indent=1) + "\n")  # after each workload, so that a later failure keeps it
        print("\n".join(["", *table(workload, summary)]), flush=True)
    print(f"\n{log['cpu']}, core {','.join(map(str, options.cores))} of {log['machine_cores']}; "
          f"load average {log['load_before']} before, {log['load_after']} after. CPU: the smallest share of its core that the "
          f"program got\nlog {path}")


if __name__ == "__main__":
    main()
