"""Trains with elbow and sets the result beside the PyTorch references.   python compare_with_pytorch.py [PROGRAM]

Four runs of 10 epochs: the kl_vae recipe with kl_wt 1e-3, 1/784 and 1e-1 against kl_vae.py, and the VAE of
pytorch/examples against pytorch_examples.py. PROGRAM is `launch/elbow` unless given. Returns 1 where a difference is
above what is allowed.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import torch

import kl_vae
import pytorch_examples
import vae

ROOT = vae.HERE.parents[1]
EPOCHS = 10
# Allowed differences on the scale of the loss: mean per pixel for kl_vae, nats for pytorch_examples.
CASES = [
    {"name": "kl_wt 1e-3", "config": "kl_vae.cfg", "words": ["objective.kl_wt=1e-3"], "kl_wt": 1e-3},
    {"name": "kl_wt 1/784", "config": "kl_vae.cfg", "words": ["objective.kl_wt=1/784"], "kl_wt": 1 / 784},
    {"name": "kl_wt 1e-1", "config": "kl_vae.cfg", "words": ["objective.kl_wt=1e-1"], "kl_wt": 1e-1},
    {"name": "pytorch/examples", "config": "pytorch_examples.cfg", "words": []},
]
ALLOWED = {"kl_vae.cfg": {"train": 0.003, "test": 0.005}, "pytorch_examples.cfg": {"train": 0.7, "test": 0.7}}


def last_lines_of_elbow(command, case, words, out):
    """Trains; returns the last train and test line of metrics.jsonl."""
    arguments = [*command, "train", str(ROOT / "configs" / case["config"]), f"train.epochs={EPOCHS}",
                 *case["words"], *words, "--out", str(out), "--progress", "none"]
    print("$", " ".join(arguments), flush=True)
    finished = subprocess.run(arguments, check=False)
    if finished.returncode != 0:
        sys.exit(f"{arguments[0]} ended with code {finished.returncode} for {case['name']}")
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return {split: [line for line in lines if line.get("split") == split][-1] for split in ("train", "test")}


def reference_runs(case, live):
    """Last epochs of the reference, one for each seed: recorded, or trained now (one seed)."""
    name = pathlib.Path(case["config"]).stem
    if live:
        data = {split: vae.images(split) for split in ("train", "test")}
        run = kl_vae.run(case["kl_wt"], EPOCHS, 1, data) if "kl_wt" in case else pytorch_examples.run(EPOCHS, 1, data)
        return [run["epochs"][-1]]
    recorded = json.loads((vae.HERE / "data" / f"{name}_10_epochs.json").read_text())["runs"]
    return [run["epochs"][-1] for run in recorded if run.get("kl_wt") == case.get("kl_wt")]


def compare(case, elbow, references):
    """Prints the rows of a case; returns whether every difference of the loss is allowed."""
    good = True
    for split in ("train", "test"):
        for metric in ("loss", "recon_nats", "kl_nats"):
            values = [reference[split][metric] for reference in references]
            expected = sum(values) / len(values)
            difference, verdict = elbow[split][metric] - expected, ""
            if metric == "loss":
                allowed = ALLOWED[case["config"]][split]
                good &= abs(difference) <= allowed
                verdict = f"{'ok' if abs(difference) <= allowed else 'DIFFERS'} (allowed {allowed})"
            print(f"{case['name']:17s} {split:6s} {metric:11s} {elbow[split][metric]:10.4f} {expected:10.4f} "
                  f"{min(values):10.4f} {max(values):10.4f} {difference:+10.4f}  {verdict}")
    return good


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program", nargs="?", default=str(ROOT / "launch" / "elbow"))
    parser.add_argument("--ranks", type=int, help="passed on as `-n RANKS`: for launch/elbow")
    parser.add_argument("--live", action="store_true", help="train the references now instead of reading data/")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="further settings for elbow")
    parser.add_argument("--out", type=pathlib.Path, help="keep the runs in this folder, which must not hold any")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    command = [arguments.program, *(["-n", str(arguments.ranks)] if arguments.ranks else [])]
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or pathlib.Path(temporary)
        results = [last_lines_of_elbow(command, case, arguments.set, folder / f"run_{number}")
                   for number, case in enumerate(CASES)]
    references = [reference_runs(case, arguments.live) for case in CASES]
    print(f"\n{'after 10 epochs':17s} {'split':6s} {'metric':11s} {'elbow':>10s} {'PyTorch':>10s} "
          f"{'lowest':>10s} {'highest':>10s} {'difference':>10s}")
    agree = [compare(*row) for row in zip(CASES, results, references)]
    return 0 if all(agree) else 1


if __name__ == "__main__":
    sys.exit(main())
