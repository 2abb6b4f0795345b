#!/usr/bin/python3
"""A training step of the fusion model in plain PyTorch 1.13.1, as the original project computes it.

usage: bench/baselines/fusion.py --threads N [--size small|full] [--batch N] [--lengths full|kemdy19]
                                 [--steps N]

Prints one JSON line: seconds of every step and the peak memory in MB. The model is that of the
original's HEAD (rotary positions, all positions of all four networks, torch.nn.MultiheadAttention),
with AdamW and clipping by norm as it configures them.
"""
import argparse
import json
import math
import resource
import time

import torch
from torch import nn
from torch.nn import functional as F

SIZES = {
    "small": dict(dims=128, heads=4, layers=2, positions=64, features=128, batch=32),
    "full": dict(dims=1024, heads=8, layers=4, positions=249, features=1024, batch=8),
}
CLASSES, DROPOUT = 7, 0.3


def rotate(x, heads):
    batch, positions, dims = x.shape
    width = dims // heads
    rates = 1.0 / 10000 ** (torch.arange(0, width, 2).float() / width)
    angles = torch.outer(torch.arange(positions).float(), rates)
    cosine, sine = angles.cos()[:, None], angles.sin()[:, None]
    even, odd = x.reshape(batch, positions, heads, width // 2, 2).unbind(-1)
    return torch.stack((even * cosine - odd * sine, odd * cosine + even * sine), -1).reshape(x.shape)


class Layer(nn.Module):
    def __init__(self, dims, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dims), nn.LayerNorm(dims)
        self.attention = nn.MultiheadAttention(dims, heads, dropout=DROPOUT, batch_first=True)
        self.wide, self.narrow = nn.Linear(dims, 4 * dims), nn.Linear(4 * dims, dims)
        self.drop1, self.drop2, self.drop3 = (nn.Dropout(DROPOUT) for _ in range(3))

    def forward(self, query, key, padding):
        query, key, value = self.norm1(query), self.norm1(key), self.norm1(key)
        query = query + self.drop1(self.attention(query, key, value, key_padding_mask=padding)[0])
        query = self.norm2(query)
        return query + self.drop3(self.narrow(self.drop2(F.relu(self.wide(query)))))


class Network(nn.Module):
    def __init__(self, dims, heads, layers):
        super().__init__()
        self.heads, self.scale = heads, math.sqrt(dims)
        self.layers = nn.ModuleList([Layer(dims, heads) for _ in range(layers)])
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, query, key, padding):
        query = self.drop(self.scale * rotate(query, self.heads))
        key = self.drop(self.scale * rotate(key, self.heads))
        for layer in self.layers:
            query = layer(query, key, padding)
        return query


class Fusion(nn.Module):
    def __init__(self, dims, heads, layers, features, **_):
        super().__init__()
        self.audio = nn.Conv1d(features, dims, 3, padding=1)
        self.text = nn.Conv1d(features, dims, 3, padding=1)
        self.networks = nn.ModuleList([Network(dims, heads, layers) for _ in range(4)])
        self.fc1, self.fc2 = nn.Linear(2 * dims, 2 * dims), nn.Linear(2 * dims, 2 * dims)
        self.drop, self.out = nn.Dropout(DROPOUT), nn.Linear(2 * dims, CLASSES)

    def forward(self, audio, audio_padding, text, text_padding):
        a = self.audio(audio.transpose(1, 2)).transpose(1, 2)
        t = self.text(text.transpose(1, 2)).transpose(1, 2)
        a = self.networks[0](a, t, text_padding)
        t = self.networks[1](t, a, audio_padding)
        a = self.networks[2](a, a, audio_padding)
        t = self.networks[3](t, t, text_padding)
        first = torch.cat([a, t], 2)[:, 0]
        return self.out(first + self.fc2(self.drop(F.relu(self.fc1(first)))))


def lengths_of(kind, which, batch, positions):
    """How long the items are; bench/fusion_bench.cpp has the same rule."""
    if kind == "full":
        return [positions] * batch
    shares = ([0.06, 0.03, 0.1, 0.05, 0.08, 0.04, 0.16, 0.06] if which == "text"
              else [0.4, 0.6, 0.3, 1.0, 0.5, 0.8, 0.35, 0.7])
    return [max(2, int(positions * shares[i % 8])) for i in range(batch)]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--batch", type=int)
    parser.add_argument("--lengths", choices=["full", "kemdy19"], default="full")
    parser.add_argument("--steps", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    size = SIZES[options.size]
    batch, positions = options.batch or size["batch"], size["positions"]
    model = Fusion(**size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    audio = torch.randn(batch, positions, size["features"])
    text = torch.randn(batch, positions, size["features"])
    place = torch.arange(positions)[None]
    padding = {which: place >= torch.tensor(lengths_of(options.lengths, which, batch, positions))[:, None]
               for which in ("audio", "text")}
    label = torch.randint(CLASSES, (batch,))
    seconds = []
    for _ in range(options.steps):
        begun = time.perf_counter()
        loss = F.cross_entropy(model(audio, padding["audio"], text, padding["text"]), label)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "peak_mb": peak, "loss": loss.item(),
                      "parameters": sum(p.numel() for p in model.parameters())}))


if __name__ == "__main__":
    main()
