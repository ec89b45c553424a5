#!/usr/bin/env bash
# Samples of an asked class look like that class to a small network that was trained on real digits, after three epochs already.
# ELBOW_CLASS_EPOCHS=40 takes the whole recipe.
# class_samples_slow_test.sh PROGRAM LAUNCHER
source "$(dirname "$0")/../support/shell.sh" "$@"

"$program" train "$repository/configs/class_conditional.cfg" train.epochs="${ELBOW_CLASS_EPOCHS:-3}" --out labels --progress none >labels.out 2>&1 ||
  cat labels.out
for label in 0 1 2 3 4 5 6 7 8 9; do
  "$program" sample labels --condition label=$label --count 100 --out $label.npy >/dev/null
done
check "most samples are recognised as what was asked for" "$python" - "$repository/configs/data/mnist" <<'PYTHON'
import gzip, sys
import numpy as np
import torch

def read(part):
    images, labels = (gzip.open(f"{sys.argv[1]}/{part}-{what}-ubyte.gz").read() for what in ("images-idx3", "labels-idx1"))
    x = np.frombuffer(images, np.uint8, offset=16).reshape(-1, 784).astype(np.float32) / 255
    return torch.from_numpy(x), torch.from_numpy(np.frombuffer(labels, np.uint8, offset=8).astype(np.int64))

torch.manual_seed(1)
net = torch.nn.Sequential(torch.nn.Linear(784, 256), torch.nn.ReLU(), torch.nn.Linear(256, 10))
optimizer = torch.optim.Adam(net.parameters(), 1e-3)
x, y = read("train")
for epoch in range(4):
    for batch in torch.randperm(len(x)).split(128):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x[batch]), y[batch]).backward()
        optimizer.step()
with torch.no_grad():
    x, y = read("t10k")
    real = (net(x).argmax(1) == y).float().mean()
    drawn = torch.from_numpy(np.stack([np.load(f"{label}.npy") for label in range(10)])).reshape(1000, 784)
    found = (net(drawn).argmax(1) == torch.arange(10).repeat_interleave(100)).float()
print(f"real test digits {real:.4f}, samples {found.mean():.4f}, by class {[round(v, 2) for v in found.view(10, 100).mean(1).tolist()]}")
assert real > 0.96, "the judge"
assert found.mean() >= 0.6, "by chance it would be 0.1"
PYTHON
finish
