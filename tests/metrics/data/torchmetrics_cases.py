#!/usr/bin/python3
"""Writes torchmetrics_0.11.4.json and torchmetrics_1.4.3.json: what TorchMetrics itself answers.

usage: PYTHONPATH=TORCHMETRICS/src[:LIGHTNING_UTILITIES/src] torchmetrics_cases.py

TORCHMETRICS is a checkout of that release (tag v0.11.4 or v1.4.3); torch is Debian's python3-torch
1.13.1. The inputs come from a fixed seed, so both files hold the same: batches of predictions and target, by
name. A case is an input, a class, its options, the value of each batch (forward) and of all (compute).
"""

import json
import math
import warnings
from pathlib import Path

import torch
import torchmetrics
from torchmetrics import classification

warnings.filterwarnings("ignore")
RELEASE = torchmetrics.__version__
STAT_SCORES = ["Accuracy", "F1Score", "FBetaScore", "Precision", "Recall", "Specificity", "StatScores"]


def plain(value):
    """Nested lists of numbers; NaN as a string, since JSON has none."""
    if isinstance(value, torch.Tensor):
        return plain(value.tolist())
    if isinstance(value, list):
        return [plain(item) for item in value]
    return "NaN" if isinstance(value, float) and math.isnan(value) else value


class Inputs:
    def __init__(self, seed):
        self.generator = torch.Generator().manual_seed(seed)

    def logits(self, *shape):
        return torch.round(torch.randn(*shape, generator=self.generator) * 2, decimals=3)

    def probabilities(self, *shape):
        return torch.round(torch.rand(*shape, generator=self.generator), decimals=2)

    def labels(self, classes, *shape):
        return torch.randint(classes, shape, generator=self.generator)

    def some_ignored(self, labels, value):
        chosen = torch.rand(labels.shape, generator=self.generator) < 0.25
        return torch.where(chosen, torch.full_like(labels, value), labels)


def binary_batches(inputs):
    return {
        "probabilities": [(inputs.probabilities(n), inputs.labels(2, n)) for n in (9, 5)],
        "logits": [(inputs.logits(n), inputs.labels(2, n)) for n in (12, 4)],
        "positions": [(inputs.probabilities(3, 4), inputs.labels(2, 3, 4)) for _ in range(2)],
        "no positives": [(inputs.probabilities(6), torch.zeros(6, dtype=torch.long))],
        "no negatives": [(inputs.probabilities(6), torch.ones(6, dtype=torch.long))],
        "perfect": [(torch.tensor([0.9, 0.1, 0.8]), torch.tensor([1, 0, 1]))],
        "inverted": [(torch.tensor([0.1, 0.9, 0.2]), torch.tensor([1, 0, 1]))],
        "answers": [(inputs.labels(2, 8), inputs.labels(2, 8))],
        "on the threshold": [(torch.tensor([0.5, 0.25, 0.75, 0.5]), torch.tensor([1, 0, 1, 0]))],
    }


def multiclass_batches(inputs, classes=4):
    few = torch.tensor([0, 2, 2, 0, 2])
    return {
        "logits": [(inputs.logits(n, classes), inputs.labels(classes, n)) for n in (11, 6)],
        "positions": [(inputs.logits(3, classes, 5), inputs.labels(classes, 3, 5)) for _ in range(2)],
        "labels": [(inputs.labels(classes, 10), inputs.labels(classes, 10))],
        "absent classes": [(torch.eye(classes)[few] * 3 + inputs.probabilities(5, classes), few)],
        "one class": [(inputs.logits(5, classes), torch.zeros(5, dtype=torch.long))],
        "another class": [(inputs.logits(5, classes), torch.full((5,), 2))],
        "tied": [(torch.round(inputs.logits(8, classes)), inputs.labels(classes, 8))],
    }


def multilabel_batches(inputs, labels=3):
    return {
        "probabilities": [(inputs.probabilities(n, labels), inputs.labels(2, n, labels)) for n in (8, 5)],
        "logits": [(inputs.logits(9, labels), inputs.labels(2, 9, labels))],
        "positions": [(inputs.probabilities(3, labels, 4), inputs.labels(2, 3, labels, 4))],
        "a label never": [(inputs.probabilities(6, labels),
                           inputs.labels(2, 6, labels) * torch.tensor([1, 0, 1]))],
        "answers": [(inputs.labels(2, 7, labels), inputs.labels(2, 7, labels))],
    }


def run(cases, target, options, batches, name):
    metric = getattr(classification, target)(**options)
    try:
        per_batch = [plain(metric(preds.clone(), labels.clone())) for preds, labels in batches]
        epoch = plain(metric.compute())
    except Exception as error:  # what the release refuses or gets wrong is not a case
        print(f"{RELEASE}: {target} {options} {name}: {type(error).__name__}: {str(error)[:90]}")
        return
    cases.append({"input": name, "target": target, "options": options, "per_batch": per_batch,
                  "epoch": epoch})


def input_of(batches):
    return {"preds_are_labels": not batches[0][0].is_floating_point(),
            "batches": [[plain(preds), plain(labels)] for preds, labels in batches]}


def variants(kind, name, has_scores):
    """(target, options) for one kind of task."""
    classes = {"Binary": {}, "Multiclass": {"num_classes": 4}, "Multilabel": {"num_labels": 3}}[kind]
    averages = [{}] if kind == "Binary" else [{"average": a} for a in ("micro", "macro", "weighted", "none")]
    for score in STAT_SCORES:
        beta = {"beta": 2.0} if score == "FBetaScore" else {}
        for average in averages:
            options = {**classes, **beta, **average}
            yield kind + score, options
            if kind == "Multiclass" and has_scores:
                yield kind + score, {**options, "top_k": 2}
            if kind != "Multiclass" and name == "probabilities":
                yield kind + score, {**options, "threshold": 0.3}
            odd = kind == "Multilabel" and score == "StatScores" and average == {"average": "weighted"}
            if name == "positions" and not odd:
                yield kind + score, {**options, "multidim_average": "samplewise"}
    for normalize in ("true", "pred", "all", "none"):
        yield kind + "ConfusionMatrix", {**classes, "normalize": normalize}
    yield kind + "MatthewsCorrCoef", classes
    if kind != "Multilabel":
        for weights in ("linear", "quadratic", None):
            yield kind + "CohenKappa", {**classes, "weights": weights}
    if not has_scores:
        return
    if kind != "Multilabel":
        for norm in ("l1", "l2", "max"):
            yield kind + "CalibrationError", {**classes, "norm": norm, "n_bins": 10}
    curve_averages = [a for a in averages if kind == "Multilabel" or a.get("average") != "micro"]
    for average in curve_averages:
        for thresholds in (None, 5, [0.1, 0.25, 0.5, 0.9]):
            options = {**classes, **average, "thresholds": thresholds}
            yield kind + "AUROC", options
            yield kind + "AveragePrecision", options
    if kind == "Binary" and name in ("probabilities", "logits", "positions"):
        yield "BinaryAUROC", {"max_fpr": 0.4}


def main():
    inputs = Inputs(2024)
    cases = []
    named = {}
    kinds = {"Binary": binary_batches(inputs), "Multiclass": multiclass_batches(inputs),
             "Multilabel": multilabel_batches(inputs)}
    for kind, batch_sets in kinds.items():
        for name, batches in batch_sets.items():
            has_scores = batches[0][0].is_floating_point()
            named[f"{kind}: {name}"] = input_of(batches)
            for target, options in variants(kind, name, has_scores):
                run(cases, target, options, batches, f"{kind}: {name}")
            if name not in ("probabilities", "logits", "positions"):
                continue
            for ignored in [-1] + ([1] if kind == "Multiclass" else []):
                partly = [(preds, inputs.some_ignored(labels, ignored)) for preds, labels in batches]
                full_name = f"{kind}: {name}, {ignored} ignored"
                named[full_name] = input_of(partly)
                for target, options in variants(kind, name, has_scores):
                    run(cases, target, {**options, "ignore_index": ignored}, partly, full_name)
    path = Path(__file__).with_name(f"torchmetrics_{RELEASE}.json")
    compact = {"separators": (",", ":")}
    lines = ",\n".join(json.dumps(case, **compact) for case in cases)
    path.write_text(f'{{"torchmetrics":"{RELEASE}","torch":"{torch.__version__}","inputs":'
                    f'{json.dumps(named, **compact)},"cases":[\n{lines}\n]}}\n')
    print(f"{path}: {len(cases)} cases")


main()
