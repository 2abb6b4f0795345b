"""Loads a checkpoint of ours as Lightning 1.9.5 would, and fails where it could not."""
import sys
import warnings

import torch

warnings.simplefilter("ignore")
checkpoint = torch.load(sys.argv[1])

for key in ("epoch", "global_step", "pytorch-lightning_version", "state_dict", "loops", "callbacks",
            "optimizer_states", "lr_schedulers", "hparams_name", "hyper_parameters"):
    assert key in checkpoint, key
assert checkpoint["epoch"] == 1 and checkpoint["global_step"] == 3, checkpoint["global_step"]
assert checkpoint["hyper_parameters"] == {"num_labels": 3}

model = torch.nn.Linear(4, 3)
model.load_state_dict(checkpoint["state_dict"])
optimizer = torch.optim.AdamW(model.parameters(), lr=1.0)
optimizer.load_state_dict(checkpoint["optimizer_states"][0])
state = optimizer.state[model.weight]
assert state["step"].item() == 3 and state["exp_avg"].shape == (3, 4)
assert optimizer.param_groups[0]["betas"] == (0.9, 0.999)

warmup = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: step)
cosine = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=9)
schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [warmup, cosine], milestones=[9])
schedule.load_state_dict(checkpoint["lr_schedulers"][0])
assert schedule.last_epoch == 3, schedule.last_epoch

# What Lightning's loops read: progress counters by name.
fit = checkpoint["loops"]["fit_loop"]
batches = fit["epoch_loop.batch_progress"]
assert batches["current"] == {"ready": 1, "started": 1, "processed": 1, "completed": 0}, batches
assert batches["total"]["ready"] == 3
assert fit["epoch_progress"]["current"] == {"ready": 2, "started": 2, "processed": 1, "completed": 1}
optim = fit["epoch_loop.batch_loop.optimizer_loop.optim_progress"]
assert optim["optimizer"]["step"]["total"] == {"ready": 3, "completed": 3}
assert fit["epoch_loop.state_dict"]["_batches_that_stepped"] == 2
for loop in ("validate_loop", "test_loop", "predict_loop"):
    assert loop in checkpoint["loops"], loop

optimizer.zero_grad()
model(torch.ones(2, 4)).sum().backward()
optimizer.step()
