"""Records what RMSprop (Keras 2's meaning) and Adam (PyTorch's) make of fixed gradients: data/optimizer_sequences.json.

Run it with elbow's Python for the record (NumPy and torch), and once more with a Python that has Keras 2
(`pip install 'tensorflow-cpu==2.12.*'`) to add what that library computes:

    python optimizer_sequences.py            writes the file
    python-with-keras optimizer_sequences.py --keras    checks the file against Keras and adds its numbers
"""
import argparse
import json
import pathlib
import re

import numpy as np

FILE = pathlib.Path(__file__).parent / "data" / "optimizer_sequences.json"
STEPS = 12

# One column of gradients per parameter: what can go wrong has a column of its own.
INITIAL = [0.5, 0.0, -3.0, 0.0, 1.0, -0.25]
COLUMNS = {
    "ordinary": [0.3, -0.1, 0.7, 0.2, -0.4, 0.9, 0.05, -0.6, 0.8, 0.11, -0.2, 0.35],
    "tiny": [1e-9] * 3 + [2e-9] * 3 + [5e-10] * 3 + [1e-9] * 3,
    "large": [1e4, 2e4, -5e3, 1e5, 3e4, -1e4, 7e3, 1e6, 2e2, -4e5, 1e4, 6e4],
    "zero": [0.0] * 4 + [0.5, 0.0, 0.0, 0.25] + [0.0] * 4,
    "sign_changes": [(-1.0) ** step * 0.125 for step in range(STEPS)],
    "mixed_scales": [1e-9, 1.0, 1e-5, 0.0, 1e3, 1e-7, 0.1, 1e-9, 10.0, 1e-4, 1e-2, 1.0],
}
RMSPROP = [
    {"lr": 1e-3, "rho": 0.9, "epsilon": 1e-7},
    {"lr": 1e-2, "rho": 0.9, "epsilon": 1e-3},
    {"lr": 1e-4, "rho": 0.99, "epsilon": 1e-7},
    {"lr": 5e-2, "rho": 0.5, "epsilon": 1e-8},
]
ADAM = [
    {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    {"lr": 3e-4, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8},
    {"lr": 1e-3, "beta1": 0.99, "beta2": 0.999, "epsilon": 1e-4},
    {"lr": 5e-2, "beta1": 0.5, "beta2": 0.9, "epsilon": 1e-3},
]


def rmsprop_numpy(setting, initial, gradients, dtype):
    """s = rho s + (1 - rho) g^2;  w -= lr g / (sqrt(s) + epsilon), every operation in `dtype`."""
    lr, rho, epsilon = (dtype(setting[key]) for key in ("lr", "rho", "epsilon"))
    weights, square, after = initial.astype(dtype), np.zeros_like(initial, dtype), []
    for gradient in gradients.astype(dtype):
        square = rho * square + dtype(1 - setting["rho"]) * gradient * gradient
        weights = weights - lr * gradient / (np.sqrt(square) + epsilon)
        after.append([float(value) for value in weights])
    return after


def adam_torch(setting, initial, gradients, dtype):
    import torch
    weights = torch.tensor(initial, dtype=dtype, requires_grad=True)
    adam = torch.optim.Adam([weights], lr=setting["lr"], betas=(setting["beta1"], setting["beta2"]),
                            eps=setting["epsilon"])
    after = []
    for gradient in gradients:
        weights.grad = torch.tensor(gradient, dtype=dtype)
        adam.step()
        after.append([float(value) for value in weights.detach()])
    return after


def rmsprop_keras(optimizer, initial, gradients):
    import tensorflow as tf
    weights, after = tf.Variable(initial, dtype=tf.float32), []
    for gradient in gradients:
        optimizer.apply_gradients([(tf.constant(gradient, tf.float32), weights)])
        after.append([float(value) for value in weights.numpy()])
    return after


def difference(ours, theirs):
    """Largest relative difference; parameters that are 0 in both count as equal."""
    ours, theirs = np.array(ours), np.array(theirs)
    scale = np.maximum(np.abs(ours), np.abs(theirs))
    return float(np.max(np.where(scale > 0, np.abs(ours - theirs) / np.where(scale > 0, scale, 1), 0)))


def write():
    import torch
    torch.set_num_threads(1)
    initial = np.array(INITIAL, np.float32)
    gradients = np.array(list(COLUMNS.values()), np.float32).T  # [steps, parameters], exact in float32
    sequences = []
    for setting in RMSPROP:
        sequences.append({"optimizer": "rmsprop", **setting,
                          "parameters_float32": rmsprop_numpy(setting, initial, gradients, np.float32),
                          "parameters_float64": rmsprop_numpy(setting, initial, gradients, np.float64)})
    for setting in ADAM:
        sequences.append({"optimizer": "adam", **setting,
                          "parameters_float32": adam_torch(setting, initial, gradients, torch.float32),
                          "parameters_float64": adam_torch(setting, initial, gradients, torch.float64)})
    for sequence in sequences:
        sequence["float32_against_float64"] = difference(sequence["parameters_float32"], sequence["parameters_float64"])
        print(sequence["optimizer"], {key: sequence[key] for key in sequence if "parameters" not in key})
    return {"columns": list(COLUMNS), "initial": [float(value) for value in initial],
            "gradients": [[float(value) for value in row] for row in gradients],
            "versions": {"numpy": np.__version__, "torch": torch.__version__.split("+")[0]},
            "sequences": sequences}


def add_keras(record):
    """Keras 2's RMSprop: the class that was the default up to 2.10, called legacy from 2.11 on. The class that
    replaced it puts epsilon under the root, as Keras 3 does: how far that is from the formula is recorded beside it."""
    import tensorflow as tf
    keras = tf.keras
    initial, gradients = np.array(record["initial"], np.float32), np.array(record["gradients"], np.float32)
    record["versions"]["keras"] = keras.__version__
    for sequence in record["sequences"]:
        if sequence["optimizer"] != "rmsprop":
            continue
        setting = {"learning_rate": sequence["lr"], "rho": sequence["rho"], "epsilon": sequence["epsilon"]}
        keras_2 = rmsprop_keras(keras.optimizers.legacy.RMSprop(**setting), initial, gradients)
        later = rmsprop_keras(keras.optimizers.RMSprop(**setting), initial, gradients)
        sequence["parameters_keras"] = keras_2
        sequence["keras_against_float64"] = difference(keras_2, sequence["parameters_float64"])
        sequence["epsilon_under_the_root_against_float64"] = difference(later, sequence["parameters_float64"])
        print(setting, "Keras 2:", sequence["keras_against_float64"],
              "epsilon under the root:", sequence["epsilon_under_the_root_against_float64"])
    return record


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keras", action="store_true", help="add Keras 2's numbers to the file")
    record = add_keras(json.loads(FILE.read_text())) if parser.parse_args().keras else write()
    text = json.dumps(record, indent=1)
    FILE.write_text(re.sub(r"\[\s+([^][]*?)\s+\]", lambda row: "[" + re.sub(r"\s+", " ", row[1]) + "]", text) + "\n")


if __name__ == "__main__":
    main()
