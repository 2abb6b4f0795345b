#!/usr/bin/env python3
"""Transformers loading a model's folder: loading.py load|embed FOLDER.

load: with a classification head; embed: the encoder alone. Prints one JSON line: the seconds.
"""
import json
import sys
import time

from transformers import AutoModel, AutoModelForSequenceClassification

kind = AutoModelForSequenceClassification if sys.argv[1] == "load" else AutoModel
begun = time.perf_counter()
kind.from_pretrained(sys.argv[2])
print(json.dumps({"seconds": [time.perf_counter() - begun]}))
