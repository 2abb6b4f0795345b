#!/usr/bin/env python3
"""Fine-tuning steps and hidden states of Transformers' HuBERT and RoBERTa, random weights.

usage: bench/baselines/encoders.py CONFIG.json train|frozen|hidden LENGTHS THREADS STEPS 32|bf16

LENGTHS: samples or tokens of each item, with commas between; the batch is padded to the longest.
AdamW as one kernel, scaled_dot_product_attention, and torch.compile for the convolutions, which it helps
(the layers take longer with it), where this PyTorch has them; bf16 is autocast's. Prints one JSON line:
the seconds of every step.
"""
import argparse
import json
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoConfig, AutoModelForAudioClassification, AutoModelForSequenceClassification

MODERN = int(torch.__version__.split(".")[0]) >= 2


def model_of(options):
    settings = json.loads(Path(options.config).read_text(encoding="utf-8"))
    if options.work == "hidden":
        settings["num_hidden_layers"] = 0  # hidden_states[0] needs none
    speech = settings["model_type"] == "hubert"
    classifier = AutoModelForAudioClassification if speech else AutoModelForSequenceClassification
    how = {"attn_implementation": "sdpa"} if MODERN else {}
    model = classifier.from_config(AutoConfig.for_model(**settings), **how)
    if options.work == "frozen":
        model.freeze_feature_encoder()
    if MODERN and speech:
        model.base_model.feature_extractor.compile()
        model.base_model.encoder.pos_conv_embed.compile()
    return model


def inputs_of(config, lengths):
    longest = max(lengths)
    real = torch.arange(longest)[None] < torch.tensor(lengths)[:, None]
    mask = {} if min(lengths) == longest else {"attention_mask": real.long()}
    if config.model_type == "hubert":
        return {"input_values": torch.randn(len(lengths), longest) * real, **mask}
    ids = torch.randint(2, config.vocab_size, (len(lengths), longest))
    return {"input_ids": ids.where(real, torch.tensor(config.pad_token_id)), **mask}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("work", choices=("train", "frozen", "hidden"))
    parser.add_argument("lengths", type=lambda text: [int(part) for part in text.split(",")])
    parser.add_argument("threads", type=int)
    parser.add_argument("steps", type=int)
    parser.add_argument("precision", choices=("32", "bf16"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    model = model_of(options)
    inputs = inputs_of(model.config, options.lengths)
    labels = torch.full((len(options.lengths),), 3)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, 2e-5, weight_decay=0.01, **({"fused": True} if MODERN else {}))
    training = options.work != "hidden"
    model.train(training)

    def autocast():
        return torch.autocast("cpu", torch.bfloat16) if options.precision == "bf16" else nullcontext()

    seconds = []
    for _ in range(options.steps):
        begun = time.perf_counter()
        if training:
            with autocast():
                logits = model(**inputs).logits
            optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(logits.float(), labels).backward()
            nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
        else:
            with torch.no_grad(), autocast():
                model.base_model(**inputs)
        seconds.append(time.perf_counter() - begun)
    print(json.dumps({"seconds": seconds}))


if __name__ == "__main__":
    main()
