"""What the peers share: the workloads, MNIST, the clock and the report. It imports neither PyTorch nor JAX."""
import argparse
import dataclasses
import json
import math
import pathlib
import platform
import resource
import statistics
import sys
import time

import numpy as np

sys.path.append(str(pathlib.Path(__file__).parents[2] / "reference"))
import mnist  # noqa: E402  pylint: disable=wrong-import-position

BATCH_SIZE = 128


@dataclasses.dataclass(frozen=True)
class Workload:
    """Settings of configs/kl_vae.cfg or configs/pytorch_examples.cfg. `betas` weigh the KL, one for each model."""

    hidden: int
    latent: int
    activation: str
    optimizer: str
    betas: tuple
    scale: float  # of the loss, in units of nats per example
    batch_sum: bool  # whether the batch is summed or averaged in the loss that is minimised
    shuffle: bool


KL_VAE = Workload(hidden=500, latent=2, activation="tanh", optimizer="rmsprop", betas=(0.784,), scale=1 / 784,
                  batch_sum=False, shuffle=False)
WORKLOADS = {
    "W1": KL_VAE,
    "W2": Workload(hidden=400, latent=20, activation="relu", optimizer="adam", betas=(1.0,), scale=1.0,
                   batch_sum=True, shuffle=True),
    # A sweep of kl_wt from 1e-4 to 1e-1. All models see the same batch and draw their own weights and noise.
    "W1x16": dataclasses.replace(KL_VAE, betas=tuple(784 * kl_wt for kl_wt in np.logspace(-4, -1, 16).tolist())),
}


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--workload", choices=WORKLOADS, default="W1")
    parser.add_argument("--epochs", type=int, default=5, help="the first holds compilation and is not measured")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a line an epoch")
    return parser


def training_images():
    return mnist.images("train")


def measure(options, versions, train_epoch, examples):
    """Calls train_epoch() -> mean loss per model, once an epoch, and prints the report."""
    if options.epochs < 2:
        raise SystemExit("--epochs must be 2 or more: the first holds compilation and is not measured")
    models = len(WORKLOADS[options.workload].betas)
    epochs = []
    for number in range(1, options.epochs + 1):
        wall, cpu = time.perf_counter(), time.process_time()
        losses = train_epoch()
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        if not all(map(math.isfinite, losses)):
            raise SystemExit(f"the loss of epoch {number} is not finite: {losses}")
        epochs.append({"examples_per_s": models * examples / wall, "seconds": wall, "cpu_seconds": cpu, "losses": losses})
        if not options.json:
            print(f"epoch {number}: {epochs[-1]['examples_per_s']:8.0f} examples/s  "
                  f"loss {statistics.mean(losses):.4f}  {100 * cpu / wall:.0f} % of a core", flush=True)
    measured = epochs[1:]
    rates = [epoch["examples_per_s"] for epoch in measured]
    report = {
        "workload": options.workload,
        "examples_per_s": rates,  # counted over all models
        "step_ms": 1e3 * statistics.median(e["seconds"] for e in measured) / math.ceil(examples / BATCH_SIZE),
        "cpu_share": sum(e["cpu_seconds"] for e in measured) / sum(e["seconds"] for e in measured),
        "first_epoch_s": epochs[0]["seconds"],
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "losses": epochs[-1]["losses"],
        "epochs": options.epochs,
        "versions": {"python": platform.python_version(), "numpy": np.__version__, **versions},
    }
    print(json.dumps(report) if options.json else
          f"median {statistics.median(rates):.0f} examples/s, {report['step_ms']:.3f} ms a step, "
          f"peak {report['peak_rss_mb']:.0f} MB, {report['versions']}")
