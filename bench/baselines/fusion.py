#!/usr/bin/env python3
"""A training step of the fusion model in plain PyTorch, as the original project computes it.

usage: bench/baselines/fusion.py small|full AUDIO_LENGTHS TEXT_LENGTHS THREADS STEPS 32|bf16

LENGTHS: positions of each item, with commas between; the batch is padded to the longest. The model is
that of the original's HEAD (rotary positions, all positions of all four networks,
torch.nn.MultiheadAttention), with AdamW and clipping by norm as it configures them; attention's averaged
weights, which nobody reads, are not asked for. Prints one JSON line: the seconds of every step.
"""
import argparse
import json
import math
import time
from contextlib import nullcontext

import torch
from torch import nn
from torch.nn import functional as F

MODERN = int(torch.__version__.split(".")[0]) >= 2
SIZES = {
    "small": dict(dims=128, heads=4, layers=2, features=128),
    "full": dict(dims=1024, heads=8, layers=4, features=1024),
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
        query = query + self.drop1(self.attention(query, key, value, key_padding_mask=padding,
                                                   need_weights=False)[0])
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
    def __init__(self, dims, heads, layers, features):
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
        first = torch.cat([a[:, 0], t[:, 0]], 1)
        return self.out(first + self.fc2(self.drop(F.relu(self.fc1(first)))))


def numbers(text):
    return [int(part) for part in text.split(",")]


def batch_of(lengths, features):
    """Noise [batch, positions, features], and bool [batch, positions], true where padding."""
    longest = max(lengths)
    return (torch.randn(len(lengths), longest, features),
            torch.arange(longest)[None] >= torch.tensor(lengths)[:, None])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("size", choices=SIZES)
    parser.add_argument("audio", type=numbers)
    parser.add_argument("text", type=numbers)
    parser.add_argument("threads", type=int)
    parser.add_argument("steps", type=int)
    parser.add_argument("precision", choices=("32", "bf16"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    size = SIZES[options.size]
    model = Fusion(**size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2,
                                  **({"fused": True} if MODERN else {}))
    inputs = *batch_of(options.audio, size["features"]), *batch_of(options.text, size["features"])
    label = torch.randint(CLASSES, (len(options.audio),))
    seconds = []
    for _ in range(options.steps):
        begun = time.perf_counter()
        with torch.autocast("cpu", torch.bfloat16) if options.precision == "bf16" else nullcontext():
            logits = model(*inputs)
        loss = F.cross_entropy(logits.float(), label)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        seconds.append(time.perf_counter() - begun)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
