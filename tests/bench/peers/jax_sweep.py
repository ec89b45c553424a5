"""A sweep of kl_wt in JAX: an epoch is one jitted lax.scan; trials one after another, or a vmap over all of them."""
import trials
import workloads

import jax
import jax.numpy as jnp
import numpy as np

import jax_vae


def main():
    options = trials.arguments(__doc__).parse_args()
    data, test = map(jnp.asarray, trials.images())
    initial, step = jax_vae.make_step(trials.WORKLOAD)

    def evaluate(state, batches):
        parameters, _, key = state
        each = jax.lax.map(lambda batch: jax_vae.losses(parameters, 1.0, key, batch, jnp.tanh), batches)
        return each.mean()

    if options.vmap:
        initial, step = jax.vmap(initial), jax.vmap(step, in_axes=(0, 0, None))
        evaluate = jax.vmap(evaluate, in_axes=(0, None))
    full = len(data) // workloads.BATCH_SIZE * workloads.BATCH_SIZE  # the short last batch follows the scan

    @jax.jit(donate_argnums=0)
    def epoch(state, betas, data, test):
        def scanned(state, batch):
            state, _ = step(state, betas, batch)
            return state, None

        state, _ = jax.lax.scan(scanned, state, data[:full].reshape(-1, workloads.BATCH_SIZE, 784))
        state, _ = step(state, betas, data[full:])
        return state, evaluate(state, test.reshape(-1, 500, 784))

    initial = jax.jit(initial)

    def train(betas, epoch_done):
        keys = jax.random.split(jax.random.key(1), len(betas))
        betas = jnp.asarray(betas)
        state = initial(keys) if options.vmap else initial(keys[0])
        betas = betas if options.vmap else betas[0]
        for _ in range(options.epochs):
            state, negative_elbo = epoch(state, betas, data, test)
            epoch_done(np.atleast_1d(negative_elbo))

    trials.run(options, train, len(data))


if __name__ == "__main__":
    main()
