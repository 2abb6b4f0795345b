#!/usr/bin/python3
"""Fine-tuning steps and hidden states of HuBERT-large and RoBERTa-large in plain PyTorch.

usage: bench/baselines/encoders.py --threads N [--model hubert|roberta] [--work train|frozen|hidden]
                                   [--steps N]

The same operations, in the same order, as Transformers 4.27.1 runs: random weights of the real sizes,
batch 1 (5 s of audio, 249 tokens), dropout as configured, AdamW. Prints one JSON line: seconds of every
step and the peak memory in MB.
"""
import argparse
import json
import resource
import time

import torch
from torch import nn
import torch.nn.functional as F

DIMS, HEADS, WIDE, LAYERS = 1024, 16, 4096, 24


class Layer(nn.Module):
    def __init__(self, before, dropout):
        super().__init__()
        self.before, self.p = before, dropout
        self.q, self.k, self.v, self.o = (nn.Linear(DIMS, DIMS) for _ in range(4))
        self.n1, self.n2 = nn.LayerNorm(DIMS), nn.LayerNorm(DIMS)
        self.w1, self.w2 = nn.Linear(DIMS, WIDE), nn.Linear(WIDE, DIMS)

    def drop(self, x):
        return F.dropout(x, self.p, self.training)

    def attend(self, x):
        b, t, _ = x.shape
        q, k, v = (f(x).view(b, t, HEADS, -1).transpose(1, 2) for f in (self.q, self.k, self.v))
        w = self.drop(torch.softmax(q @ k.transpose(2, 3) / (DIMS // HEADS) ** 0.5, -1))
        return self.drop(self.o((w @ v).transpose(1, 2).reshape(b, t, DIMS)))

    def feed(self, x):
        return self.drop(self.w2(F.gelu(self.w1(x))))

    def forward(self, x):
        if self.before:
            x = x + self.attend(self.n1(x))
            return x + self.feed(self.n2(x))
        x = self.n1(x + self.attend(x))
        return self.n2(x + self.feed(x))


class Hubert(nn.Module):
    def __init__(self):
        super().__init__()
        kernels, strides = (10, 3, 3, 3, 3, 2, 2), (5, 2, 2, 2, 2, 2, 2)
        self.convs = nn.ModuleList(
            nn.Conv1d(1 if i == 0 else 512, 512, k, s) for i, (k, s) in enumerate(zip(kernels, strides)))
        self.norms = nn.ModuleList(nn.LayerNorm(512) for _ in kernels)
        self.norm, self.project = nn.LayerNorm(512), nn.Linear(512, DIMS)
        self.pos = nn.utils.weight_norm(nn.Conv1d(DIMS, DIMS, 128, padding=64, groups=16), dim=2)
        self.layers = nn.ModuleList(Layer(True, 0.1) for _ in range(LAYERS))
        self.last, self.head, self.out = nn.LayerNorm(DIMS), nn.Linear(DIMS, 256), nn.Linear(256, 7)

    def hidden(self, x):
        x = x[:, None]
        for conv, norm in zip(self.convs, self.norms):
            x = F.gelu(norm(conv(x).transpose(-2, -1)).transpose(-2, -1))
        x = self.project(self.norm(x.transpose(1, 2)))
        pos = F.gelu(self.pos(x.transpose(1, 2))[:, :, :-1]).transpose(1, 2)
        return F.dropout(x + pos, 0.1, self.training)

    def forward(self, x):
        x = self.hidden(x)
        for layer in self.layers:
            x = layer(x)
        return self.out(self.head(self.last(x)).mean(1))


class Roberta(nn.Module):
    def __init__(self):
        super().__init__()
        self.words, self.places = nn.Embedding(32000, DIMS, 1), nn.Embedding(514, DIMS, 1)
        self.types, self.norm = nn.Embedding(1, DIMS), nn.LayerNorm(DIMS)
        self.layers = nn.ModuleList(Layer(False, 0.1) for _ in range(LAYERS))
        self.dense, self.out = nn.Linear(DIMS, DIMS), nn.Linear(DIMS, 7)

    def hidden(self, ids):
        real = ids.ne(1).int()
        places = torch.cumsum(real, 1) * real + 1
        x = self.words(ids) + self.types(torch.zeros_like(ids)) + self.places(places)
        return F.dropout(self.norm(x), 0.1, self.training)

    def forward(self, ids):
        x = self.hidden(ids)
        for layer in self.layers:
            x = layer(x)
        return self.out(torch.tanh(self.dense(x[:, 0])))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--model", choices=("hubert", "roberta"), default="hubert")
    parser.add_argument("--work", choices=("train", "frozen", "hidden"), default="train")
    parser.add_argument("--steps", type=int, default=4)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    audio, hidden = options.model == "hubert", options.work == "hidden"
    model = Hubert() if audio else Roberta()
    inputs = torch.randn(1, 80000) if audio else torch.randint(2, 32000, (1, 249))
    if options.work == "frozen":
        for weight in model.convs.parameters():
            weight.requires_grad_(False)
    label, seconds = torch.tensor([3]), []
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = None if hidden else torch.optim.AdamW(trained, 2e-5, weight_decay=0.01)
    model.train(not hidden)
    for _ in range(options.steps):
        begun = time.perf_counter()
        if hidden:
            with torch.no_grad():
                model.hidden(inputs)
        else:
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(model(inputs), label).backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
        seconds.append(time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak}))


if __name__ == "__main__":
    main()
