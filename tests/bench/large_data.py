"""Trains on more data than a process may hold, and shows that speed and memory stay what they are.

    large_data.py                                   ten million drawn shapes, and a file of 6 GB under `ulimit -v`
    large_data.py --examples 1000000 --cores 2,3 --threads 1 --folder /var/tmp

Runs of the same network, in turn: `synthetic` data beside MNIST in memory, and a mapped IDX file of drawn bytes, twice as large as
the address space that the process gets, beside 60,000 examples of the same bytes in memory: how many are 0 decides how fast they
are multiplied. Resident memory is read every second, without the pages of the mapped file. The files are removed at the end.
"""
import argparse
import json
import os
import pathlib
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
PIXELS = 28 * 28
MIB = 1 << 20


def write_idx(path, dimensions, examples, size):
    """Blocks of pseudo-random bytes, mostly 0, as digits are."""
    block = bytes(b if b > 200 else 0 for b in os.urandom(1000 * size))
    with open(path, "wb") as file:
        file.write(bytes([0, 0, 8, len(dimensions) + 1]))
        for dimension in (examples, *dimensions):
            file.write(dimension.to_bytes(4, "big"))
        for done in range(0, examples, 1000):
            file.write(block[:min(1000, examples - done) * size])


def write_data(folder, examples):
    folder.mkdir()
    for part, count in (("train", examples), ("t10k", 1000)):
        write_idx(folder / f"{part}-images-idx3-ubyte", (28, 28), count, PIXELS)
        write_idx(folder / f"{part}-labels-idx1-ubyte", (), count, 1)


def own_memory_mib(pid):
    """Resident memory that belongs to no file."""
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    return None


def train(options, name, settings, address_space=None):
    out = options.folder / name
    shutil.rmtree(out, ignore_errors=True)
    command = [options.elbow, "train", REPOSITORY / "configs/pytorch_examples.cfg", *settings, f"train.threads={options.threads}",
               "--progress", "none", "--out", out]

    def limit():
        os.sched_setaffinity(0, options.cores)
        if address_space:
            resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))

    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=subprocess.STDOUT, preexec_fn=limit)
        memory = []
        while process.poll() is None:
            try:
                memory.append(own_memory_mib(process.pid))
            except OSError:
                break
            time.sleep(1)
        if process.wait() != 0:
            log.seek(0)
            sys.exit(f"large_data: the run '{name}' ended with code {process.returncode}:\n{log.read()[-2000:]}")
    memory = [value for value in memory if value]
    train_lines = [line for line in map(json.loads, (out / "metrics.jsonl").read_text().splitlines()) if line["split"] == "train"]
    half = len(memory) // 2
    return {"run": name, "examples": sum(line["examples"] for line in train_lines),
            "examples_per_s": statistics.median(line["examples_per_s"] for line in train_lines),
            "memory_mib_first_half": max(memory[:half], default=None), "memory_mib_second_half": max(memory[half:], default=None)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=10_000_000, help="drawn ones")
    parser.add_argument("--address-space-mib", type=int, default=3000, help="of the process that reads the file")
    parser.add_argument("--cores", type=lambda text: set(map(int, text.split(","))), default={0})
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("/var/tmp"), help="for the file and the runs")
    parser.add_argument("--elbow", type=pathlib.Path, default=REPOSITORY / "build/release/elbow")
    options = parser.parse_args()
    options.folder = pathlib.Path(tempfile.mkdtemp(prefix="large_data-", dir=options.folder))
    try:
        in_file = 2 * options.address_space_mib * MIB // PIXELS
        for folder, examples in (("large", in_file), ("small", 60_000)):
            write_data(options.folder / folder, examples)
        drawn = ["data.source=synthetic", f"data.examples={options.examples}", "train.epochs=1"]
        mapped = ["data.source=idx", f"data.dir={options.folder / 'large'}", "data.in_memory=false", "train.epochs=1"]
        same_bytes = ["data.source=idx", f"data.dir={options.folder / 'small'}", "train.epochs=3"]
        groups = [
            [train(options, "MNIST in memory", ["train.epochs=3"]), train(options, "drawn", drawn)],
            [train(options, "bytes in memory", same_bytes),
             train(options, "mapped file", mapped, options.address_space_mib * MIB),
             train(options, "bytes again", same_bytes)],
        ]
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    print(f"{'run':18} {'examples':>11} {'examples/s':>11} {'of memory':>10}   own memory in MiB, first and second half")
    for group in groups:
        for row in group:
            print(f"{row['run']:18} {row['examples']:11d} {row['examples_per_s']:11.0f} "
                  f"{row['examples_per_s'] / group[0]['examples_per_s']:10.2f}   "
                  f"{row['memory_mib_first_half']:.0f}, {row['memory_mib_second_half']:.0f}")


if __name__ == "__main__":
    main()
