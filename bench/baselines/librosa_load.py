#!/usr/bin/python3
"""What librosa.load(sr=16000) and Wav2Vec2FeatureExtractor cost on a folder of recordings.

usage: librosa_load.py FOLDER [PROCESSES]     prints recordings a second

librosa cannot be had from Debian. Its work is done here by the same libraries that it calls, without
its own checks and wrappers: soundfile (python3-soundfile) decodes to float32, numpy takes the mean of
the channels, libsoxr's one-shot HQ resampler (through ctypes; librosa goes through python-soxr, which
calls the same function) brings it to 16 kHz, and numpy cuts and normalises as the extractor's lines do.
"""

import ctypes
import multiprocessing
import os
import sys
import time

import numpy as np
import soundfile

RATE, MOST, HQ = 16000, 80000, 4


class Quality(ctypes.Structure):
    _fields_ = [("precision", ctypes.c_double), ("phase_response", ctypes.c_double),
                ("passband_end", ctypes.c_double), ("stopband_begin", ctypes.c_double),
                ("e", ctypes.c_void_p), ("flags", ctypes.c_ulong)]


SOXR = ctypes.CDLL("libsoxr.so.0")
SOXR.soxr_quality_spec.restype = Quality
SOXR.soxr_quality_spec.argtypes = [ctypes.c_ulong, ctypes.c_ulong]
SOXR.soxr_oneshot.restype = ctypes.c_char_p
SOXR.soxr_oneshot.argtypes = [ctypes.c_double, ctypes.c_double, ctypes.c_uint, ctypes.c_void_p,
                              ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t,
                              ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]


def resample(samples, rate):
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    out = np.zeros(int(np.ceil(len(samples) * RATE / rate)), dtype=np.float32)
    quality = SOXR.soxr_quality_spec(HQ, 0)
    error = SOXR.soxr_oneshot(rate, RATE, 1, samples.ctypes.data, len(samples), None,
                              out.ctypes.data, len(out), None, None, ctypes.byref(quality), None)
    if error:
        sys.exit(error.decode())
    return out


def load(path):
    samples, rate = soundfile.read(path, dtype="float32")
    if samples.ndim > 1:
        samples = samples.T.mean(axis=0)
    return samples if rate == RATE else resample(samples, rate)


def extract(samples):
    samples = samples[:MOST]
    padded = np.pad(samples, (0, MOST - len(samples)))
    length = len(samples)
    normed = (padded - padded[:length].mean()) / np.sqrt(padded[:length].var() + 1e-7)
    normed[length:] = 0.0
    return normed


def work(paths):
    for path in paths:
        extract(load(path))


def main(folder, processes):
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    work(paths[:4])
    rounds = max(1, 400 // len(paths))
    with multiprocessing.Pool(processes) as pool:
        pool.map(work, [paths[:1]] * processes)
        start = time.perf_counter()
        pool.map(work, [paths] * rounds, chunksize=1)
        seconds = time.perf_counter() - start
    print(f"{rounds * len(paths) / seconds:.1f}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 1)
