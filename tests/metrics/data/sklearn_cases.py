#!/usr/bin/python3
"""Writes sklearn.json: what scikit-learn (Debian's python3-sklearn) answers for one seeded data set."""

import json
from pathlib import Path

import numpy
import sklearn
from sklearn import metrics


def main():
    random = numpy.random.default_rng(2024)
    classes, rows = 4, 60
    scores = random.dirichlet(numpy.ones(classes), rows).round(3)
    scores[:, -1] = (1 - scores[:, :-1].sum(1)).round(3)
    target = numpy.array([random.choice(classes, p=row / row.sum()) for row in scores])
    guess = scores.argmax(1)
    values = {}
    for average in ("micro", "macro", "weighted", None):
        name = average or "none"
        for target_name, score in (("Precision", metrics.precision_score), ("Recall", metrics.recall_score),
                                   ("F1Score", metrics.f1_score)):
            values[f"Multiclass{target_name}/average/{name}"] = score(target, guess, average=average)
        values[f"MulticlassFBetaScore/average/{name}"] = metrics.fbeta_score(target, guess, beta=0.5, average=average)
    values["MulticlassAccuracy/average/micro"] = metrics.accuracy_score(target, guess)
    values["MulticlassAccuracy/average/macro"] = metrics.balanced_accuracy_score(target, guess)
    values["MulticlassAccuracy/top_k/2"] = metrics.top_k_accuracy_score(target, scores, k=2)
    for weights in (None, "linear", "quadratic"):
        values[f"MulticlassCohenKappa/weights/{weights or 'none'}"] = metrics.cohen_kappa_score(
            target, guess, weights=weights)
    values["MulticlassMatthewsCorrCoef"] = metrics.matthews_corrcoef(target, guess)
    for normalize in ("true", "pred", "all"):
        values[f"MulticlassConfusionMatrix/normalize/{normalize}"] = metrics.confusion_matrix(
            target, guess, normalize=normalize)
    onehot = numpy.eye(classes)[target]
    for average in ("macro", "weighted", None):
        name = average or "none"
        values[f"MulticlassAUROC/average/{name}"] = metrics.roc_auc_score(onehot, scores, average=average)
        values[f"MulticlassAveragePrecision/average/{name}"] = metrics.average_precision_score(
            onehot, scores, average=average)
    binary, score = (target == 1).astype(int), scores[:, 1]
    values["BinaryAUROC"] = metrics.roc_auc_score(binary, score)
    values["BinaryAUROC/max_fpr/0.3"] = metrics.roc_auc_score(binary, score, max_fpr=0.3)
    values["BinaryAveragePrecision"] = metrics.average_precision_score(binary, score)
    values["BinaryF1Score"] = metrics.f1_score(binary, score > 0.5)
    values["BinarySpecificity"] = metrics.recall_score(1 - binary, score <= 0.5)
    plain = {key: value.tolist() if hasattr(value, "tolist") else value for key, value in values.items()}
    path = Path(__file__).with_name("sklearn.json")
    path.write_text(json.dumps({"sklearn": sklearn.__version__, "scores": scores.tolist(),
                                "target": target.tolist(), "values": plain}, separators=(",", ":")) + "\n")
    print(f"{path}: {len(plain)} values")


main()
