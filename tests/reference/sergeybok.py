"""PyTorch reference of sergeybok's VAE (`configs/sergeybok_vae*.cfg`): 784-1000-500-250-30-(2), ReLU, Adam, not shuffled.

    python sergeybok.py --beta 0.01 --sigma-wt 1     the loss as written there; a line for some epochs, on validation
    python sergeybok.py                              the correct ELBO
"""
import argparse
import itertools

import torch
from torch import nn
from torch.nn import functional

import vae

BATCH_SIZE = 200
TRAINED_ON = 50_000  # of MNIST's training images; the others are measured
WIDTHS = [784, 1000, 500, 250, 30]
LATENT = 2
SHOWN = (1, 2, 5, 8, 9, 10, 20, 30, 40, 50)


def layers(widths):
    return [part for sizes in itertools.pairwise(widths) for part in (nn.Linear(*sizes), nn.ReLU())]


class Vae(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(*layers(WIDTHS), nn.Linear(WIDTHS[-1], 2 * LATENT))
        self.decoder = nn.Sequential(*layers([LATENT, *WIDTHS[:0:-1]]), nn.Linear(WIDTHS[1], 784))
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.trunc_normal_(parameter, std=0.01, a=-0.02, b=0.02)
            else:
                nn.init.zeros_(parameter)

    def forward(self, batch):
        """Mean and sigma [examples, latent]; means over examples of reconstruction, KL and sum (1 - sigma)^4."""
        mean, scale = self.encoder(batch).chunk(2, 1)
        sigma = functional.softplus(scale)
        logits = self.decoder(mean + sigma * torch.randn_like(sigma))
        reconstruction = functional.binary_cross_entropy_with_logits(logits, batch, reduction="none").sum(1).mean()
        kl = 0.5 * (mean**2 + sigma**2 - torch.log(sigma**2) - 1).sum(1).mean()
        return mean, sigma, reconstruction, kl, ((1 - sigma) ** 4).sum(1).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--beta", type=float, default=1.0)
    parser.add_argument("--sigma-wt", type=float, default=0.0)
    parser.add_argument("--epochs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    images = (vae.images("train") > 128.5 / 255).float()
    trained, measured = images[:TRAINED_ON], images[TRAINED_ON:]
    model = Vae()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-4)
    for epoch in range(1, options.epochs + 1):
        for batch in trained.split(BATCH_SIZE):
            _, _, reconstruction, kl, near_one = model(batch)
            optimizer.zero_grad()
            (reconstruction + options.beta * kl + options.sigma_wt * near_one).backward()
            optimizer.step()
        if epoch not in SHOWN and epoch != options.epochs:
            continue
        with torch.no_grad():
            mean, sigma, reconstruction, kl, _ = model(measured)
        print(f"seed {options.seed} epoch {epoch:3d}: recon {reconstruction:.2f}  KL {kl:.2f} nats  mu +- {mean.std():.2f}  "
              f"sigma {sigma.mean():.3f}, smallest {sigma.min():.1e}", flush=True)


if __name__ == "__main__":
    main()
