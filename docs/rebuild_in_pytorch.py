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
from torch import nn

ACTIVATIONS = {"tanh": nn.Tanh, "relu": nn.ReLU, "sigmoid": nn.Sigmoid, "softplus": nn.Softplus, "identity": nn.Identity}
SCALES = {"log_variance": lambda a: torch.exp(0.5 * a), "softplus": nn.functional.softplus}


class Vae(nn.Module):
    def __init__(self, folder):
        super().__init__()
        self.about = json.loads((pathlib.Path(folder) / "model.json").read_text())
        self.tensors = load_file(pathlib.Path(folder) / self.about["weights"])
        self.image = self.about["input"].get("channels_first")  # [channels, height, width] where there are convolutions
        self.encoder, self.decoder = (self.stack(self.about[side]) for side in ("encoder", "decoder"))
        self.mean, self.scale = (self.layer({"type": "linear", "name": self.about["posterior"][head]}) for head in ("mean", "scale"))

    def layer(self, about):
        weight, bias = (self.tensors[f"{about['name']}.{part}"] for part in ("weight", "bias"))
        options = {key: about[key] for key in ("stride", "padding", "output_padding") if key in about}
        kind = {"linear": nn.Linear, "convolution": nn.Conv2d, "transposed_convolution": nn.ConvTranspose2d}[about["type"]]
        ends = weight.shape[:2] if kind is nn.ConvTranspose2d else (weight.shape[1], weight.shape[0])  # in, out
        module = kind(*ends, *weight.shape[2:3], **options)
        module.load_state_dict({"weight": weight, "bias": bias})
        ready = [nn.Flatten()] if kind is nn.Linear else []
        shaped = [nn.Unflatten(1, about["output_shape"])] if "output_shape" in about else []
        return nn.Sequential(*ready, module, ACTIVATIONS[about.get("activation", "identity")](), *shaped)

    def stack(self, layers):
        return nn.Sequential(*map(self.layer, layers))

    def encode(self, images):  # [examples, ...] in [0, 1] -> mean and scale, [examples, latent]
        x = images.reshape(len(images), *self.image[1:], self.image[0]).movedim(3, 1) if self.image else images.flatten(1)
        hidden = self.encoder(x).flatten(1)
        return self.mean(hidden), SCALES[self.about["posterior"]["scale_is"]](self.scale(hidden))

    def decode(self, z):  # [examples, latent] -> E[x | z], [examples, ...]
        x = self.decoder(z)
        return (x.movedim(1, 3) if self.image else x).reshape(len(z), *self.about["input"]["shape"])


if __name__ == "__main__":
    vae = Vae(sys.argv[1])
    images = torch.from_numpy(np.load(sys.argv[2])) if len(sys.argv) > 2 else torch.zeros(1, *vae.about["input"]["shape"])
    with torch.no_grad():
        mean, scale = vae.encode(images / 255 if images.dtype == torch.uint8 else images)
        print(vae, "reconstructions:", list(vae.decode(mean).shape))
    if len(sys.argv) > 3:
        np.save(sys.argv[3], torch.stack([mean, scale], dim=1).numpy())
