"""PyTorch reference of the VAE in pytorch/examples (`configs/pytorch_examples.cfg`): 784-400-20, ReLU, Adam, shuffled.

    python pytorch_examples.py                       one run, a line an epoch
    python pytorch_examples.py --record              both runs of data/pytorch_examples_10_epochs.json
"""
import argparse

import torch

import vae

BATCH_SIZE = 128
RECIPE = ("784-400-20, ReLU, PyTorch's default initialisation; grey MNIST / 255, batch 128, shuffled, "
          "last batch of 96 kept; Adam lr 1e-3 on the loss summed over the batch; nats per example")


def run(epochs, seed, data):
    torch.manual_seed(seed)
    model = vae.Vae(hidden=400, latent=20, activation=torch.relu)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    history = []
    for epoch in range(1, epochs + 1):
        order = torch.randperm(len(data["train"]))
        batches = (data["train"][indices] for indices in order.split(BATCH_SIZE))
        train = vae.train_epoch(model, optimizer, batches, beta=1.0, scale=1.0, reduce=torch.sum)
        test = vae.evaluate(model, data["test"], beta=1.0, scale=1.0)
        vae.show(f"seed {seed}", epoch, train, test)
        history.append({"epoch": epoch, "train": train, "test": test})
    return {"seed": seed, "epochs": history}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--record", action="store_true", help="two seeds, into data/")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    data = {split: vae.images(split) for split in ("train", "test")}
    if arguments.record:
        runs = [run(10, seed, data) for seed in (1, 2)]
        vae.record(vae.HERE / "data" / "pytorch_examples_10_epochs.json", RECIPE, runs)
    else:
        run(arguments.epochs, arguments.seed, data)


if __name__ == "__main__":
    main()
