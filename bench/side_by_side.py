"""What the scripts of bench/ share: works that are measured, and the two programs of each, side by side."""
import json
import os
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
POLICIES = ({}, {"OMP_WAIT_POLICY": "passive"})
ENCODERS = {"roberta": ("text", 249), "hubert": ("audio", 80000)}
FUSION = {"small": (64, 32), "full": (249, 8)}  # positions, batch


class Work(NamedTuple):
    """A program of ours and a script of PyTorch's that compute the same, each a process of its own."""
    name: str
    ours: list  # a program below a build folder, and its arguments
    theirs: list  # a script of bench/baselines, and its arguments
    threads: int = 1
    whole: bool = False  # the whole process is timed, not its best step
    environment: dict = {}


def _lengths(which, kind, batch, longest):
    """Lengths of a batch's items: all the longest, or shares of it like KEMDy19's."""
    shares = {"text": [0.06, 0.03, 0.1, 0.05, 0.08, 0.04, 0.16, 0.06],
              "audio": [0.4, 0.6, 0.3, 1.0, 0.5, 0.8, 0.35, 0.7]}[which]
    lengths = [longest if kind == "full" else max(2, int(longest * shares[i % 8])) for i in range(batch)]
    return ",".join(map(str, lengths))


def encoder(model, work, precision, lengths="full", batch=1, threads=2, steps=4):
    which, longest = ENCODERS[model]
    arguments = [ROOT / f"bench/models/{model}-large.json", work, _lengths(which, lengths, batch, longest),
                 threads, steps, precision]
    return Work(f"{model}-large, {work}, batch {batch}, lengths {lengths}, precision {precision}",
                ["bench/encoder_bench", *arguments], ["encoders.py", *arguments],
                threads)


def fusion(size, precision, lengths="full", batch=None, threads=1, steps=8):
    longest, usual = FUSION[size]
    sizes = [_lengths(which, lengths, batch or usual, longest) for which in ("audio", "text")]
    arguments = [size, *sizes, threads, steps, precision]
    return Work(f"fusion, {size}, batch {batch or usual}, lengths {lengths}, {threads} threads, "
                f"precision {precision}", ["bench/fusion_bench", *arguments], ["fusion.py", *arguments],
                threads)


def loading(folder, what="load"):
    """A model of RoBERTa-large's size from `folder`, where `make_model` wrote it."""
    return Work(f"roberta-large from a file, {what}", ["bench/loading_bench", what, folder],
                ["loading.py", what, folder])


def make_model(build, folder):
    subprocess.run([Path(build) / "bench/loading_bench", "make", ROOT / "bench/models/roberta-large.json", folder],
                   check=True)


def start(folder, experiment="fillets/text"):
    """To the end of a run of one batch, `folder` holding what it writes. PyTorch's side is spared the
    configuration, the data and the record: it starts and takes a step of the small fusion model."""
    ours = ["polyphony", "train", f"experiment={experiment}", "+trainer.fast_dev_run=true",
            "+trainer.limit_val_batches=0", "+test_after_train=false", f"hydra.run.dir={folder}/run"]
    return Work("start to the end of the first step", ours, fusion("small", "32", steps=1).theirs, whole=True,
                environment={"POLYPHONY_STORE": f"{folder}/runs.db"})


def our_command(work, build):
    return [Path(build) / work.ours[0], *work.ours[1:]]


def their_command(work, python):
    return [python, ROOT / "bench/baselines" / work.theirs[0], *work.theirs[1:]]


def measure(work, command, policy=None, priority=False):
    """The best step's seconds, or those of the whole process, and the peak memory in MB."""
    if priority:
        command = ["setsid", "--wait", "bash", "-c", 'echo -18 > /proc/self/autogroup; exec "$@"',
                   "bench", *command]
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    environment.update(work.environment, **(policy or {}))
    begun = time.monotonic()
    child = subprocess.Popen(list(map(str, command)), env=environment, stdout=subprocess.PIPE, text=True)
    text = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - begun
    if status != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: exit code {os.waitstatus_to_exitcode(status)}")
    return seconds if work.whole else min(json.loads(text)["seconds"]), usage.ru_maxrss / 1024


def add_options(parser, pairs):
    parser.add_argument("--pairs", type=int, default=pairs)
    parser.add_argument("--python", default="python3", help="of the PyTorch to compare with")
    parser.add_argument("--build", default=ROOT / "build/release", help="configured with -DPOLYPHONY_BENCH=ON")
    parser.add_argument("--priority", action="store_true", help="(root) before other processes")


def add_step_options(parser, threads, batch, steps):
    parser.add_argument("--threads", type=int, default=threads)
    parser.add_argument("--precision", choices=["32", "bf16"], default="32")
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--lengths", choices=["full", "kemdy19"], default="full")
    parser.add_argument("--steps", type=int, default=steps)


def compare(work, options):
    """Runs both in turn, `options.pairs` times, and prints each pair and the ratio of the best steps."""
    policies = POLICIES[:1] if work.threads == 1 else POLICIES
    sides = (their_command(work, options.python), our_command(work, options.build))
    pairs = []
    for pair in range(options.pairs):
        load = os.getloadavg()[0]
        theirs, mine = (min(measure(work, side, policy, options.priority) for policy in policies)
                        for side in sides)
        pairs.append((theirs, mine))
        print(f"pair {pair + 1}: load {load:.1f}  PyTorch {theirs[0]:.4f} s {theirs[1]:.0f} MB  "
              f"Polyphony {mine[0]:.4f} s {mine[1]:.0f} MB  ratio {theirs[0] / mine[0]:.2f}", flush=True)
    best = min(theirs[0] for theirs, _ in pairs) / min(mine[0] for _, mine in pairs)
    memory = max(mine[1] for _, mine in pairs) / max(theirs[1] for theirs, _ in pairs)
    print(f"{work.name}: {best:.2f} times as fast (best of each), {memory:.2f} of the memory")
