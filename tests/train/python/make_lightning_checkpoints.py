"""Made tests/train/data/lightning_1.9.5_*: run with Lightning 1.9.5 on torch 1.13.1 as
`make_lightning_checkpoints.py DIRECTORY [EVERY_N_TRAIN_STEPS]`. Two epochs of two batches without
dropout or shuffling; epoch=0-step=2.ckpt of a run by epochs and epoch=1-step=3.ckpt of a run by steps
became _epoch_end.ckpt and _mid_epoch.ckpt, and final.pt holds the data and the last weights."""
import sys

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint, Timer


class Linear(pl.LightningModule):
    def __init__(self, num_labels=3):
        super().__init__()
        self.save_hyperparameters()
        self.weight = torch.nn.Parameter(torch.randn(num_labels, 4))
        self.bias = torch.nn.Parameter(torch.zeros(num_labels))

    def loss(self, batch):
        x, y = batch
        logits = torch.nn.functional.linear(x, self.weight, self.bias)
        return torch.nn.functional.cross_entropy(logits, y)

    def training_step(self, batch, _):
        loss = self.loss(batch)
        self.log("train_loss", loss, on_step=True, on_epoch=True)
        return loss

    def validation_step(self, batch, _):
        self.log("val_loss", self.loss(batch))

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.05)
        total = self.trainer.estimated_stepping_batches
        warmup = int(total * 0.2)
        rise = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: s / warmup if warmup else 1.0)
        fall = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=total - warmup, eta_min=5e-4)
        schedule = torch.optim.lr_scheduler.SequentialLR(optimizer, [rise, fall], milestones=[warmup])
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


torch.manual_seed(3)
x, y = torch.randn(10, 4), torch.arange(10) % 3
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=5)
every = int(sys.argv[2]) if len(sys.argv) > 2 else None
checkpoint = ModelCheckpoint(dirpath=sys.argv[1], monitor="val_loss", save_last=True, save_top_k=-1,
                             every_n_train_steps=every)
trainer = pl.Trainer(max_epochs=2, callbacks=[checkpoint, EarlyStopping("val_loss"), Timer()],
                     logger=False, num_sanity_val_steps=0)
module = Linear()
trainer.fit(module, loader, loader)
torch.save({"state_dict": module.state_dict(), "x": x, "y": y}, sys.argv[1] + "/final.pt")
