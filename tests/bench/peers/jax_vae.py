"""The workloads in JAX: an epoch is one jitted lax.scan over its batches, several models are a vmap of one."""
import workloads

import jax
import jax.numpy as jnp
import numpy as np


def dense(key, workload, inputs, outputs):
    if workload.activation == "tanh":  # Glorot uniform, zero biases
        limit, bias_limit = (6 / (inputs + outputs)) ** 0.5, 0.0
    else:  # PyTorch's default
        limit = bias_limit = inputs**-0.5
    weight_key, bias_key = jax.random.split(key)
    return {"weight": jax.random.uniform(weight_key, (inputs, outputs), minval=-limit, maxval=limit),
            "bias": jax.random.uniform(bias_key, (outputs,), minval=-bias_limit, maxval=bias_limit)}


def make_parameters(key, workload):
    shapes = {"encoder": (784, workload.hidden), "mean": (workload.hidden, workload.latent),
              "log_variance": (workload.hidden, workload.latent), "decoder": (workload.latent, workload.hidden),
              "output": (workload.hidden, 784)}
    return {name: dense(layer_key, workload, *shape)
            for (name, shape), layer_key in zip(shapes.items(), jax.random.split(key, len(shapes)))}


def losses(parameters, beta, key, batch, activation):
    """Loss in nats of each example [examples]."""
    def linear(name, x):
        return x @ parameters[name]["weight"] + parameters[name]["bias"]

    hidden = activation(linear("encoder", batch))
    mean, log_variance = linear("mean", hidden), linear("log_variance", hidden)
    latent = mean + jnp.exp(0.5 * log_variance) * jax.random.normal(key, mean.shape)
    logits = linear("output", activation(linear("decoder", latent)))
    reconstruction = (jnp.maximum(logits, 0) - logits * batch + jnp.log1p(jnp.exp(-jnp.abs(logits)))).sum(1)
    kl = 0.5 * (mean**2 + jnp.exp(log_variance) - log_variance - 1).sum(1)
    return reconstruction + beta * kl


def make_optimizer(workload, lr=1e-3):
    """Returns initial(parameters) -> state and update(parameters, gradient, state) -> parameters, state."""
    tree = jax.tree.map

    def rmsprop(parameters, gradient, state, rho=0.9, epsilon=1e-7):
        square = tree(lambda s, g: rho * s + (1 - rho) * g * g, state, gradient)
        return tree(lambda p, g, s: p - lr * g / (jnp.sqrt(s) + epsilon), parameters, gradient, square), square

    def adam(parameters, gradient, state, beta1=0.9, beta2=0.999, epsilon=1e-8):
        count, mean, square = state
        count += 1
        mean = tree(lambda m, g: beta1 * m + (1 - beta1) * g, mean, gradient)
        square = tree(lambda s, g: beta2 * s + (1 - beta2) * g * g, square, gradient)
        rate, correction = lr / (1 - beta1**count), jnp.sqrt(1 - beta2**count)
        parameters = tree(lambda p, m, s: p - rate * m / (jnp.sqrt(s) / correction + epsilon), parameters, mean, square)
        return parameters, (count, mean, square)

    def zeros(parameters):
        return tree(jnp.zeros_like, parameters)

    if workload.optimizer == "adam":
        return lambda parameters: (jnp.zeros(()), zeros(parameters), zeros(parameters)), adam
    return zeros, rmsprop


def make_step(workload):
    """Returns initial(key) -> state and step(state, beta, batch) -> state, loss summed over the batch; of one model."""
    initial_state, update = make_optimizer(workload)
    activation = {"tanh": jnp.tanh, "relu": jax.nn.relu}[workload.activation]

    def objective(parameters, beta, key, batch):
        each = workload.scale * losses(parameters, beta, key, batch, activation)
        return (each.sum() if workload.batch_sum else each.mean()), each.sum()

    def initial(key):
        key, parameters_key = jax.random.split(key)
        parameters = make_parameters(parameters_key, workload)
        return parameters, initial_state(parameters), key

    def step(state, beta, batch):
        parameters, optimizer_state, key = state
        key, noise_key = jax.random.split(key)
        gradient, loss = jax.grad(objective, has_aux=True)(parameters, beta, noise_key, batch)
        return (*update(parameters, gradient, optimizer_state), key), loss

    return initial, step


def main():
    options = workloads.arguments(__doc__).parse_args()
    workload = workloads.WORKLOADS[options.workload]
    data = jnp.asarray(workloads.training_images())
    betas, keys = jnp.array(workload.betas), jax.random.split(jax.random.key(1), len(workload.betas))
    initial, step = make_step(workload)
    if len(betas) > 1:
        initial, step = jax.vmap(initial), jax.vmap(step, in_axes=(0, 0, None))
    else:
        betas, keys = betas[0], keys[0]

    full = len(data) // workloads.BATCH_SIZE * workloads.BATCH_SIZE  # the short last batch follows the scan

    @jax.jit(donate_argnums=0)
    def epoch(state, data, order):
        def scanned(state, indices):
            return step(state, betas, data[indices])

        state, totals = jax.lax.scan(scanned, state, order[:full].reshape(-1, workloads.BATCH_SIZE))
        state, last = step(state, betas, data[order[full:]])
        return state, totals.sum(0) + last

    state = jax.jit(initial)(keys)
    order, generator = np.arange(len(data)), np.random.default_rng(1)

    def train_epoch():
        nonlocal state
        state, totals = epoch(state, data, generator.permutation(order) if workload.shuffle else order)
        return (np.atleast_1d(totals) / len(data)).tolist()

    workloads.measure(options, {"jax": jax.__version__}, train_epoch, len(data))


if __name__ == "__main__":
    main()
