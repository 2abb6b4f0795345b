#!/usr/bin/python3
"""What F1, accuracy, precision and recall (macro) cost in Python on batches of 64 rows of 7 classes.

usage: [PYTHONPATH=TORCHMETRICS/src[:LIGHTNING_UTILITIES/src]] torchmetrics_update.py

Needs Debian's python3-torch. Where a checkout of TorchMetrics is on the path it is measured itself.
Always measured: the tensor operations alone that one update of such a collection cannot do without
(argmax, one bin count of the confusion matrix, its margins), once for the one state that
TorchMetrics' compute groups share: a lower bound, without its checks, hooks and wrappers.
"""

import timeit

import torch

ROWS, CLASSES = 64, 7


def microseconds(work, repeat=7):
    number, _ = timeit.Timer(work).autorange()
    return min(timeit.repeat(work, number=number, repeat=repeat)) / number * 1e6


def tensor_operations(logits, target, sums):
    guess = logits.argmax(dim=1).flatten()
    counts = torch.bincount(target.flatten() * CLASSES + guess, minlength=CLASSES * CLASSES)
    confusion = counts.reshape(CLASSES, CLASSES)
    tp = confusion.diag()
    fp = confusion.sum(0) - tp
    fn = confusion.sum(1) - tp
    tn = confusion.sum() - (fp + fn + tp)
    for total, part in zip(sums, (tp, fp, tn, fn)):
        total += part


def main():
    torch.set_num_threads(1)
    logits, target = torch.randn(ROWS, CLASSES), torch.randint(CLASSES, (ROWS,))
    sums = [torch.zeros(CLASSES, dtype=torch.long) for _ in range(4)]
    bound = microseconds(lambda: tensor_operations(logits, target, sums))
    print(f"tensor operations of one update, a lower bound: {bound:8.1f} us")
    print(f"the same for four metrics without a shared state: {4 * bound:6.1f} us")
    try:
        import torchmetrics
        from torchmetrics import classification
    except ImportError:
        print("TorchMetrics is not on the path: not measured")
        return
    names = ("F1Score", "Accuracy", "Precision", "Recall")
    classes = [getattr(classification, "Multiclass" + name) for name in names]
    collection = torchmetrics.MetricCollection([make(num_classes=CLASSES) for make in classes])
    collection.update(logits, target)  # forms the compute groups
    print(f"TorchMetrics {torchmetrics.__version__}, groups {collection.compute_groups}")
    print(f"  update:  {microseconds(lambda: collection.update(logits, target)):8.1f} us")
    print(f"  forward: {microseconds(lambda: collection(logits, target)):8.1f} us")

    def compute():
        for metric in collection.values(copy_state=False):
            metric._computed = None  # it keeps the answer until the next update
        collection.compute()

    print(f"  compute: {microseconds(compute):8.1f} us")


main()
