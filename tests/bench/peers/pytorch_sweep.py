"""A sweep of kl_wt in PyTorch: trials one after another (eager or compiled), or a vmap over all of them."""
import trials
import workloads  # puts tests/reference on the path

import torch

import pytorch_vae


def make_model():
    return pytorch_vae.make_model(trials.WORKLOAD)


def one_model(beta):
    """Returns its parameters and batch -> losses in nats [1, examples], with a beta for training, and one for the ELBO."""
    model = make_model()

    def losses(batch, weight=beta):
        _, _, reconstruction, kl = model(batch)
        return (reconstruction + weight * kl)[None]

    return list(model.parameters()), losses


def stacked_models(betas):
    models = [make_model() for _ in betas]
    parameters, _ = torch.func.stack_module_state(models)
    skeleton, betas = models[0], torch.tensor(betas)

    def losses_of_one(parameters, beta, batch):
        _, _, reconstruction, kl = torch.func.functional_call(skeleton, parameters, (batch,))
        return reconstruction + beta * kl

    stacked = torch.vmap(losses_of_one, in_dims=(0, 0, None), randomness="different")
    return list(parameters.values()), lambda batch, weights=betas: stacked(parameters, torch.as_tensor(weights).expand(len(betas)),
                                                                           batch)


def main():
    parser = trials.arguments(__doc__)
    parser.add_argument("--compile", action="store_true", help="torch.compile instead of eager")
    options = parser.parse_args()
    torch.manual_seed(1)
    data, test = map(torch.from_numpy, trials.images())

    def train(betas, epoch_done):
        parameters, losses = stacked_models(betas) if options.vmap else one_model(*betas)
        optimizer = pytorch_vae.make_optimizer(trials.WORKLOAD, parameters)

        def step(batch):
            # The models are independent, so the gradient of their losses' sum is each one's own.
            (trials.WORKLOAD.scale * losses(batch).mean(1)).sum().backward()
            optimizer.step()
            optimizer.zero_grad()

        if options.compile:
            step = torch.compile(step, dynamic=False)  # the short last batch gets code of its own
        for _ in range(options.epochs):
            for batch in data.split(workloads.BATCH_SIZE):
                step(batch)
            with torch.no_grad():
                epoch_done(torch.cat([losses(batch, 1.0) for batch in test.split(500)], 1).mean(1).tolist())

    trials.run(options, train)


if __name__ == "__main__":
    main()
