"""What the training references share: MNIST, a dense VAE in plain PyTorch, one epoch, one evaluation."""
import datetime
import json
import math
import pathlib
import platform

import numpy as np
import torch
from torch import nn
from torch.nn import functional

import mnist

HERE = pathlib.Path(__file__).parent


def images(split):
    """[examples, 784] float32 in [0, 1]."""
    return torch.from_numpy(mnist.images(split))


class Vae(nn.Module):
    def __init__(self, hidden, latent, activation):
        super().__init__()
        self.activation = activation
        self.hidden_of_encoder = nn.Linear(784, hidden)
        self.mean = nn.Linear(hidden, latent)
        self.log_variance = nn.Linear(hidden, latent)
        self.hidden_of_decoder = nn.Linear(latent, hidden)
        self.output = nn.Linear(hidden, 784)

    def forward(self, batch):
        """Returns mean and log-variance [examples, latent], and reconstruction and KL in nats [examples]."""
        hidden = self.activation(self.hidden_of_encoder(batch))
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        latent = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        logits = self.output(self.activation(self.hidden_of_decoder(latent)))
        reconstruction = functional.binary_cross_entropy_with_logits(logits, batch, reduction="none").sum(1)
        kl = 0.5 * (mean**2 + torch.exp(log_variance) - log_variance - 1).sum(1)
        return mean, log_variance, reconstruction, kl


def train_epoch(model, optimizer, batches, beta, scale, reduce=torch.mean):
    """Minimises scale * (reconstruction + beta * KL), reduced over the batch; returns means over examples."""
    reconstruction_sum = kl_sum = examples = 0
    for batch in batches:
        _, _, reconstruction, kl = model(batch)
        optimizer.zero_grad()
        (scale * reduce(reconstruction + beta * kl)).backward()
        optimizer.step()
        reconstruction_sum += reconstruction.detach().double().sum().item()
        kl_sum += kl.detach().double().sum().item()
        examples += len(batch)
    return means(reconstruction_sum / examples, kl_sum / examples, beta, scale)


@torch.no_grad()
def evaluate(model, data, beta, scale):
    """Exact means over `data`, with one draw of noise per image, and statistics of the posterior."""
    mean, log_variance, reconstruction, kl = (torch.cat(parts) for parts in zip(*map(model, data.split(1000))))
    sigma = torch.exp(0.5 * log_variance.double())
    active = (mean.double().var(0, unbiased=False) > 0.01).sum().item()
    return {**means(reconstruction.double().mean().item(), kl.double().mean().item(), beta, scale),
            "mean_of_mu": mean.double().mean().item(), "std_of_mu": mean.double().std(unbiased=False).item(),
            "mean_of_sigma": sigma.mean().item(), "std_of_sigma": sigma.std(unbiased=False).item(),
            "min_of_sigma": sigma.min().item(), "active_units": active}


def means(reconstruction, kl, beta, scale):
    if not math.isfinite(reconstruction + kl):
        raise SystemExit("the loss is not finite")
    return {"loss": scale * (reconstruction + beta * kl), "recon_nats": reconstruction, "kl_nats": kl}


def show(label, epoch, train, test):
    print(f"{label} epoch {epoch:3d}: train {train['loss']:.4f}  test {test['loss']:.4f}  "
          f"recon {test['recon_nats']:.2f}  KL {test['kl_nats']:.3f} nats  "
          f"mu {test['mean_of_mu']:.3f} +- {test['std_of_mu']:.3f}  "
          f"sigma {test['mean_of_sigma']:.3f} +- {test['std_of_sigma']:.3f}  active {test['active_units']}", flush=True)


def record(path, recipe, runs):
    circumstances = {"torch": torch.__version__.split("+")[0], "numpy": np.__version__,
                     "python": platform.python_version(), "threads": torch.get_num_threads(),
                     "date": datetime.date.today().isoformat()}
    path.write_text(json.dumps({"recipe": recipe, "circumstances": circumstances, "runs": runs}, indent=1) + "\n")
