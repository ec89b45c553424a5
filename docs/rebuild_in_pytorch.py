"""Rebuilds in PyTorch what `elbow export RUN --out DIR` wrote, and encodes and decodes with it.

    python rebuild_in_pytorch.py DIR [IMAGES.npy [CODES.npy]]

Writes the posterior's means and scales of the images, float32 [examples, 2, latent], as `elbow encode` does.
"""
import json
import pathlib
import sys

import numpy as np
import torch
from safetensors.torch import load_file

ACTIVATIONS = {"tanh": torch.nn.Tanh, "relu": torch.nn.ReLU, "sigmoid": torch.nn.Sigmoid,
               "softplus": torch.nn.Softplus, "identity": torch.nn.Identity}
SCALES = {"log_variance": lambda a: torch.exp(0.5 * a), "softplus": torch.nn.functional.softplus}


class Vae(torch.nn.Module):
    def __init__(self, folder):
        super().__init__()
        folder = pathlib.Path(folder)
        self.about = json.loads((folder / "model.json").read_text())
        self.tensors = load_file(folder / self.about["weights"])
        self.encoder = self.stack(self.about["encoder"])
        self.mean = self.linear(self.about["posterior"]["mean"])
        self.scale = self.linear(self.about["posterior"]["scale"])
        self.decoder = self.stack(self.about["decoder"])

    def linear(self, name):
        weight, bias = self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"]
        layer = torch.nn.Linear(weight.shape[1], weight.shape[0])
        layer.load_state_dict({"weight": weight, "bias": bias})
        return layer

    def stack(self, layers):
        return torch.nn.Sequential(*(part for layer in layers for part in
                                     (self.linear(layer["name"]), ACTIVATIONS[layer["activation"]]())))

    def encode(self, images):  # [examples, ...] in [0, 1] -> mean and scale, [examples, latent]
        hidden = self.encoder(images.flatten(1))
        scale = self.scale(hidden)
        return self.mean(hidden), SCALES[self.about["posterior"]["scale_is"]](scale)

    def decode(self, z):  # [examples, latent] -> E[x | z], [examples, ...]
        return self.decoder(z).unflatten(1, self.about["input"]["shape"])


if __name__ == "__main__":
    vae = Vae(sys.argv[1])
    print(vae)
    if len(sys.argv) > 2:
        images = torch.from_numpy(np.load(sys.argv[2]))
        images = images / 255 if images.dtype == torch.uint8 else images
        with torch.no_grad():
            mean, scale = vae.encode(images)
            print("reconstructions:", list(vae.decode(mean).shape))
        if len(sys.argv) > 3:
            np.save(sys.argv[3], torch.stack([mean, scale], dim=1).numpy())
