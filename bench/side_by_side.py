"""What bench/fusion and bench/encoders share: a program of ours beside one of plain PyTorch's."""
import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def _measure(command, environment, priority):
    """The best step's seconds and the peak memory in MB of a process that prints both."""
    if priority:
        command = ["setsid", "--wait", "bash", "-c", 'echo -18 > /proc/self/autogroup; exec "$@"',
                   "bench", *command]
    text = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    result = json.loads(text)
    return min(result["seconds"]), result["peak_mb"]


def _tuned(policy):
    environment = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
    return {**environment, **policy}


def compare(name, baseline, ours, options):
    """Runs both in turn, `options.pairs` times, and prints each pair and the ratio of the best steps.

    Both run with plain threads and with OMP_WAIT_POLICY=passive where there are several threads; the
    better one counts. PyTorch runs with OPENBLAS_CORETYPE unset.
    """
    policies = [{}] if options.threads == 1 else [{}, {"OMP_WAIT_POLICY": "passive"}]
    pairs = []
    for pair in range(options.pairs):
        load = os.getloadavg()[0]
        theirs = min(_measure(baseline, _tuned(policy), options.priority) for policy in policies)
        mine = min(_measure(ours, {**os.environ, **policy}, options.priority) for policy in policies)
        pairs.append((theirs, mine))
        print(f"pair {pair + 1}: load {load:.1f}  PyTorch {theirs[0]:.4f} s {theirs[1]:.0f} MB  "
              f"Polyphony {mine[0]:.4f} s {mine[1]:.0f} MB  ratio {theirs[0] / mine[0]:.2f}", flush=True)
    best = min(theirs[0] for theirs, _ in pairs) / min(mine[0] for _, mine in pairs)
    memory = max(mine[1] for _, mine in pairs) / max(theirs[1] for theirs, _ in pairs)
    print(f"{name}: {best:.2f} times as fast (best of each), {memory:.2f} of the memory")
