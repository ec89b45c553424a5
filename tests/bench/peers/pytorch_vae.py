"""The workloads in PyTorch, eager or with the whole step, optimizer included, under torch.compile."""
import workloads  # first: it puts tests/reference on the path

import torch

import kl_vae
import vae


def make_model(workload):
    model = vae.Vae(workload.hidden, workload.latent, getattr(torch, workload.activation))
    if workload.activation == "tanh":
        kl_vae.initialise(model)
    return model


def make_optimizer(workload, parameters):
    if workload.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=1e-3, fused=True)
    return torch.optim.RMSprop(parameters, lr=1e-3, alpha=0.9, eps=1e-7)


def one_model(workload):
    """Returns its parameters and batch -> loss in nats of each example [1, examples]."""
    model, (beta,) = make_model(workload), workload.betas

    def losses(batch):
        _, _, reconstruction, kl = model(batch)
        return (reconstruction + beta * kl)[None]

    return list(model.parameters()), losses


def stacked_models(workload):
    """The same for several models, [models, examples], as rows of stacked parameters."""
    models = [make_model(workload) for _ in workload.betas]
    parameters, _ = torch.func.stack_module_state(models)
    skeleton, betas = models[0], torch.tensor(workload.betas)

    def losses_of_one(parameters, beta, batch):
        _, _, reconstruction, kl = torch.func.functional_call(skeleton, parameters, (batch,))
        return reconstruction + beta * kl

    stacked = torch.vmap(losses_of_one, in_dims=(0, 0, None), randomness="different")
    return list(parameters.values()), lambda batch: stacked(parameters, betas, batch)


def make_step(workload):
    parameters, losses_of = (one_model if len(workload.betas) == 1 else stacked_models)(workload)
    optimizer = make_optimizer(workload, parameters)

    def step(batch):
        """One update of every model. Returns the losses, summed over the batch [models]."""
        losses = workload.scale * losses_of(batch)
        # The models are independent, so the gradient of their losses' sum is each one's own.
        (losses if workload.batch_sum else losses.mean(1)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        return losses.detach().sum(1)

    return step


def main():
    parser = workloads.arguments(__doc__)
    parser.add_argument("--compile", action="store_true", help="torch.compile instead of eager")
    parser.add_argument("--precision", choices=["highest", "medium"], default="highest",
                        help="torch.set_float32_matmul_precision; medium multiplies in bfloat16")
    options = parser.parse_args()
    workload = workloads.WORKLOADS[options.workload]
    torch.manual_seed(1)
    torch.set_float32_matmul_precision(options.precision)
    data = torch.from_numpy(workloads.training_images())
    step = make_step(workload)
    if options.compile:
        step = torch.compile(step, dynamic=False)  # the short last batch gets code of its own

    def train_epoch():
        total = torch.zeros(len(workload.betas))
        if workload.shuffle:
            batches = (data[indices] for indices in torch.randperm(len(data)).split(workloads.BATCH_SIZE))
        else:
            batches = data.split(workloads.BATCH_SIZE)
        for batch in batches:
            total += step(batch)
        return (total / len(data)).tolist()

    workloads.measure(options, {"torch": torch.__version__}, train_epoch, len(data))


if __name__ == "__main__":
    main()
