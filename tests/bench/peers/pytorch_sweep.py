"""A sweep of kl_wt in PyTorch: trials one after another (eager or compiled), or a vmap over all of them."""
import trials
import workloads  # puts tests/reference on the path

import torch

import kl_vae
import pytorch_vae


class OneModel:
    """A model that begins each trial anew, so that what was compiled for the first one serves them all."""

    def __init__(self):
        self.model = pytorch_vae.make_model(trials.WORKLOAD)
        self.parameters = list(self.model.parameters())
        self.beta = torch.zeros(())

    def begin(self, betas):
        kl_vae.initialise(self.model)
        self.beta.fill_(*betas)

    def losses(self, batch, beta):
        """In nats [1, examples]."""
        _, _, reconstruction, kl = self.model(batch)
        return (reconstruction + beta * kl)[None]


class StackedModels:
    """Several as rows of stacked parameters."""

    def __init__(self, count):
        models = [pytorch_vae.make_model(trials.WORKLOAD) for _ in range(count)]
        self.stacked, _ = torch.func.stack_module_state(models)
        self.parameters = list(self.stacked.values())
        self.beta = torch.zeros(count)

        def losses_of_one(parameters, beta, batch):
            _, _, reconstruction, kl = torch.func.functional_call(models[0], parameters, (batch,))
            return reconstruction + beta * kl

        self.losses_of_all = torch.vmap(losses_of_one, in_dims=(0, 0, None), randomness="different")

    def begin(self, betas):
        self.beta.copy_(torch.tensor(betas))

    def losses(self, batch, beta):
        return self.losses_of_all(self.stacked, beta, batch)


def main():
    parser = trials.arguments(__doc__)
    parser.add_argument("--compile", action="store_true", help="torch.compile instead of eager")
    options = parser.parse_args()
    torch.manual_seed(1)
    data, test = map(torch.from_numpy, trials.images())
    model = StackedModels(len(trials.betas_of(options))) if options.vmap else OneModel()
    optimizer = pytorch_vae.make_optimizer(trials.WORKLOAD, model.parameters)

    def step(batch):
        # The models are independent, so the gradient of their losses' sum is each one's own.
        (trials.WORKLOAD.scale * model.losses(batch, model.beta).mean(1)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    if options.compile:
        step = torch.compile(step, dynamic=False)  # the short last batch gets code of its own

    def train(betas, epoch_done):
        model.begin(betas)
        for state in optimizer.state.values():
            for tensor in state.values():
                tensor.zero_()
        for _ in range(options.epochs):
            for batch in data.split(workloads.BATCH_SIZE):
                step(batch)
            with torch.no_grad():
                ones = torch.ones_like(model.beta)
                epoch_done(torch.cat([model.losses(batch, ones) for batch in test.split(500)], 1).mean(1).tolist())

    trials.run(options, train, len(data))


if __name__ == "__main__":
    main()
