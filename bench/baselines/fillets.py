#!/usr/bin/python3
"""The two baselines that the quickstart must beat, on the manifest's own split (python3-sklearn).

usage: fillets.py MANIFEST FEATURES.npy
FEATURES.npy comes from: polyphony data features MANIFEST --out FEATURES.npy
"""
import csv
import sys

import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import StandardScaler


def report(name, train, test, labels, where):
    model = LogisticRegression(max_iter=2000).fit(train, labels[where["train"]])
    truth, guess = labels[where["test"]], model.predict(test)
    print(f"{name}: test accuracy {accuracy_score(truth, guess):.3f}, "
          f"macro F1 {f1_score(truth, guess, average='macro'):.3f} ({len(truth)} rows)", flush=True)


def main(manifest, features):
    with open(manifest, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([row["label"] for row in rows])
    splits = np.array([row["split"] for row in rows])
    texts = np.array([row["text"] for row in rows], dtype=object)
    where = {name: splits == name for name in ("train", "test")}
    sounds = np.load(features)
    if len(sounds) != len(rows):
        sys.exit(f"{features}: {len(sounds)} rows, but {manifest} has {len(rows)}: export it again")
    scaler = StandardScaler().fit(sounds[where["train"]])
    report("audio, log-mel means and deviations", scaler.transform(sounds[where["train"]]),
           scaler.transform(sounds[where["test"]]), labels, where)
    words = TfidfVectorizer(analyzer="char", ngram_range=(1, 4), sublinear_tf=True)
    report("text, character 1-4-gram TF-IDF", words.fit_transform(texts[where["train"]]),
           words.transform(texts[where["test"]]), labels, where)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
