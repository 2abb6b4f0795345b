"""Writes a checkpoint of ours again as Lightning would: by torch.save, with OrderedDicts, without
the key that is ours alone."""
import collections
import sys
import warnings

import torch

warnings.simplefilter("ignore")
checkpoint = torch.load(sys.argv[1])
del checkpoint["polyphony"]
checkpoint["state_dict"] = collections.OrderedDict(checkpoint["state_dict"])
checkpoint["pytorch-lightning_version"] = "2.1.0"
torch.save(checkpoint, sys.argv[2])
