"""What the peers of elbow's sweep share: the trials of configs/sweep_kl.cfg, this process's share of them, and the report.

Each trial is kl_vae.cfg with a kl_wt of its own, trained for some epochs, with -ELBO on the test images after each. It imports
neither PyTorch nor JAX."""
import argparse
import json
import resource
import time

import numpy as np
import workloads

WORKLOAD = workloads.KL_VAE


def arguments(description):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--trials", type=int, default=12, help="values of kl_wt from 1e-4 to 1e-1")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--share", default="0/1", help="I/N: of the trials, I, I + N, I + 2 N ...")
    parser.add_argument("--vmap", action="store_true", help="all of them at once instead of one after another")
    return parser


def betas_of(options):
    index, count = map(int, options.share.split("/"))
    return [784 * kl_wt for kl_wt in np.logspace(-4, -1, options.trials).tolist()][index::count]


def run(options, train, examples):
    """Calls train(betas, epoch_done), once a trial or once for all; it calls epoch_done(-ELBO of each trial).

    examples: of the training images."""
    betas, started, times, elbos = betas_of(options), time.perf_counter(), [], []

    def epoch_done(negative_elbos):
        times.append((time.perf_counter(), len(negative_elbos)))
        elbos.append([-float(value) for value in negative_elbos])

    for pack in [betas] if options.vmap else [[beta] for beta in betas]:
        train(pack, epoch_done)
    print(json.dumps({
        "model_examples": examples * sum(models for _, models in times),
        "seconds": times[-1][0] - started,
        # The first epoch holds compilation.
        "examples_after_first_epoch": examples * sum(models for _, models in times[1:]),
        "seconds_after_first_epoch": times[-1][0] - times[0][0],
        "cpu_seconds": time.process_time(),
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "elbo_nats": [elbo for epoch in elbos[options.epochs - 1::options.epochs] for elbo in epoch],
    }))


def images():
    """Training and test images [examples, 784], float32."""
    return workloads.training_images(), workloads.mnist.images("test")
