"""PyTorch reference of the redonovan/VAE recipe (`configs/kl_vae.cfg`): 784-500-2, tanh, Keras's RMSprop, no shuffling.

    python kl_vae.py --kl-wt 1e-3 --epochs 10        one run, a line an epoch
    python kl_vae.py --record                        all runs of data/kl_vae_10_epochs.json
"""
import argparse
import json

import torch

import vae

BATCH_SIZE = 128
SCALE = 1 / 784  # the loss is optimised with the reconstruction averaged over pixels
RECIPE = ("784-500-2, tanh, Glorot uniform, zero biases; grey MNIST / 255, batch 128, not shuffled, "
          "last batch of 96 kept; RMSprop lr 1e-3, rho 0.9, epsilon 1e-7 outside the root; "
          "loss = batch mean of pixel-mean BCE + kl_wt * KL")


def initialise(model):
    for name, parameter in model.named_parameters():
        torch.nn.init.xavier_uniform_(parameter) if name.endswith("weight") else torch.nn.init.zeros_(parameter)


def run(kl_wt, epochs, seed, data):
    torch.manual_seed(seed)
    model = vae.Vae(hidden=500, latent=2, activation=torch.tanh)
    initialise(model)
    # PyTorch adds epsilon after the root, as Keras 2 did.
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, eps=1e-7)
    beta = kl_wt * 784
    history = []
    for epoch in range(1, epochs + 1):
        train = vae.train_epoch(model, optimizer, data["train"].split(BATCH_SIZE), beta, SCALE)
        test = vae.evaluate(model, data["test"], beta, SCALE)
        vae.show(f"kl_wt {kl_wt:.5g} seed {seed}", epoch, train, test)
        history.append({"epoch": epoch, "train": train, "test": test})
    return {"kl_wt": kl_wt, "seed": seed, "epochs": history}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kl-wt", type=float, default=1e-3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", metavar="FILE", help="also write the run there")
    parser.add_argument("--record", action="store_true", help="three weights, two seeds, into data/")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = {split: vae.images(split) for split in ("train", "test")}
    if arguments.record:
        runs = [run(kl_wt, 10, seed, data) for kl_wt in (1e-3, 1 / 784, 1e-1) for seed in (1, 2)]
        vae.record(vae.HERE / "data" / "kl_vae_10_epochs.json", RECIPE, runs)
        return
    result = run(arguments.kl_wt, arguments.epochs, arguments.seed, data)
    if arguments.json:
        with open(arguments.json, "w") as file:
            json.dump(result, file, indent=1)


if __name__ == "__main__":
    main()
