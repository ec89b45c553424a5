"""Does a run's saved model say, in plain PyTorch, what its metrics say?   python forward_pass.py RUN [--split test]

Computes reconstruction and KL of a split from the newest checkpoint and compares them with the last line of
metrics.jsonl for that split: KL to 1e-4 relative, reconstruction to 1e-5 relative with elbow's own noise (philox.py),
and within 3 standard errors with independent noise. Returns 1 where they differ.
"""
import argparse
import configparser
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional

import philox
import vae

ACTIVATIONS = {"tanh": torch.tanh, "relu": torch.relu, "sigmoid": torch.sigmoid, "softplus": functional.softplus,
               "identity": lambda value: value}


def forward_pass(model, activation, images, noise):
    """model: tensors by name; images [examples, observed]; noise [examples, latent]. Returns nats [examples] each."""
    def linear(name, value):
        return functional.linear(value, model[f"{name}.weight"], model[f"{name}.bias"])

    def hidden(part, value):
        layer = 0
        while f"{part}.layers.{layer}.weight" in model:
            value = activation(linear(f"{part}.layers.{layer}", value))
            layer += 1
        return value

    code = hidden("encoder", images)
    mean, log_variance = linear("encoder.mean", code), linear("encoder.log_variance", code)
    latent = mean + torch.exp(0.5 * log_variance) * noise
    logits = linear("decoder.output", hidden("decoder", latent))
    reconstruction = functional.binary_cross_entropy_with_logits(logits, images, reduction="none").sum(1)
    kl = 0.5 * (mean**2 + torch.expm1(log_variance) - log_variance).sum(1)
    return reconstruction, kl


def split_of(config, split):
    """The split's images as the run saw them, and the global index of the first one."""
    source, binarise = config["data"]["source"], config["data"].get("binarise", "none")
    if source != "mnist" or binarise not in ("none", "threshold"):
        sys.exit(f"only data.source=mnist with data.binarise=none or threshold is read here, not {source}, {binarise}")
    training = vae.images("train").double()
    if split == "test":
        images, first = vae.images("test").double(), len(training)
    else:
        first = len(training) - config["data"].getint("validation", 0)
        images = training[first:]
    if binarise == "threshold":
        images = ((images * 255).round() >= config["data"].getint("threshold", 128)).double()
    return images, first


def newest_model(run):
    checkpoints = sorted(run.glob("checkpoints/step_*/model.safetensors"))
    if not checkpoints:
        sys.exit(f"no checkpoints/step_*/model.safetensors in {run}: did the run finish?")
    return checkpoints[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=pathlib.Path)
    parser.add_argument("--split", choices=("test", "validation"), default="test")
    parser.add_argument("--draws", type=int, default=4, help="draws of independent noise")
    arguments = parser.parse_args()
    torch.set_num_threads(1)

    config = configparser.ConfigParser(inline_comment_prefixes="#")
    config.read(arguments.run / "config.cfg")
    lines = map(json.loads, (arguments.run / "metrics.jsonl").read_text().splitlines())
    reported = [line for line in lines if line.get("split") == arguments.split]
    if not reported:
        sys.exit(f"{arguments.run}/metrics.jsonl has no line of the split {arguments.split}")
    path = newest_model(arguments.run)
    model = {name: tensor.double() for name, tensor in load_file(path).items()}
    activation = ACTIVATIONS[config["model"]["activation"]]
    images, first = split_of(config, arguments.split)
    shape = (len(images), len(model["encoder.mean.bias"]))

    def computed(noise):
        with torch.no_grad():
            parts = [forward_pass(model, activation, *part)
                     for part in zip(images.split(1000), torch.from_numpy(noise).split(1000))]
        return [torch.cat(values).numpy() for values in zip(*parts)]

    seed = config["train"].getint("seed", 1)
    own, kl = computed(philox.evaluation_noise(seed, arguments.split, first, *shape))
    generator = np.random.default_rng(12345)
    draws = np.stack([computed(generator.standard_normal(shape))[0] for _ in range(arguments.draws)])
    error = np.sqrt(draws.var(axis=0, ddof=1).sum() * (1 + 1 / arguments.draws)) / len(images)

    recon_nats, kl_nats = reported[-1]["recon_nats"], reported[-1]["kl_nats"]
    checks = [
        ("KL", kl_nats, kl.mean(), 1e-4 * kl.mean()),
        ("reconstruction, elbow's noise", recon_nats, own.mean(), 1e-5 * own.mean()),
        ("reconstruction, independent noise", recon_nats, draws.mean(), 3 * error),
    ]
    print(f"{path.parent.name}, {arguments.split}, {len(images)} images, nats per image")
    agree = True
    for name, elbow, pytorch, tolerance in checks:
        good = abs(elbow - pytorch) <= tolerance
        agree &= good
        print(f"{name:34s} elbow {elbow:.6f}  PyTorch {pytorch:.6f}  difference {elbow - pytorch:+.2e}  "
              f"allowed {tolerance:.1e}  {'ok' if good else 'DIFFERS'}")
    return 0 if agree else 1


if __name__ == "__main__":
    sys.exit(main())
