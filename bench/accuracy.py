#!/usr/bin/env python3
"""Measures every configuration of the bundled Hatchling against its all-f32 self: `./run accuracy`.

Writes docs/accuracy.md, a table of all combinations of weights, activations, rule and rho, and docs/accuracy.svg.
Each row is one `lowbit eval --against f32` over the same bytes.
"""
import itertools
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOWBIT = ROOT / "build/release/bin/lowbit"
MODELS = ROOT / "examples/bdh/models"
BYTES, WINDOW, RHO_CHUNK = 8192, 256, 16
COLORS = {"f32": "#444444", "int8": "#1f77b4", "ternary": "#2ca02c", "binary": "#d62728"}

# (weights, rule, group): ternary and binary have one rule of their own.
WEIGHTS = [("f32", None, None)]
WEIGHTS += [("int8", rule, group) for rule in ("absmax", "absmean") for group in ("per_channel", "per_tensor")]
WEIGHTS += [(weights, None, group) for weights in ("ternary", "binary") for group in ("per_channel", "per_tensor")]
ACTIVATIONS = [("f32", None), ("int8", "absmax"), ("int8", "absmean")]
RHO = ["f32", "int8", "ternary", "binary"]


def evaluate(weights, activations, rho):
    command = [LOWBIT, "eval", "--model", MODELS / "bdh-shakespeare.safetensors", "--text", MODELS / "shakespeare-val.txt"]
    command += ["--bytes", BYTES, "--window", WINDOW, "--against", "f32", "--json", "--weights", weights[0]]
    if weights[1]:
        command += ["--weight-rule", weights[1]]
    if weights[2]:
        command += ["--weight-group", weights[2]]
    command += ["--activations", activations[0]]
    if activations[1]:
        command += ["--rule", activations[1]]
    command += ["--rho", rho, "--rho-chunk", RHO_CHUNK]
    return json.loads(subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout)


def measure():
    cases = [
        (weights, activations, rho)
        for weights, activations, rho in itertools.product(WEIGHTS, ACTIVATIONS, RHO)
        if weights[0] != "f32" or activations[0] == "f32"
    ]
    results = []
    for i, case in enumerate(cases):
        print(f"\r{i + 1} of {len(cases)}: {case}".ljust(100), end="", file=sys.stderr, flush=True)
        results.append((case, evaluate(*case)))
    print(file=sys.stderr)
    return results


def table(results):
    f32 = results[0][1]["nats_per_byte"]
    lines = [
        "# Accuracy",
        "",
        f"The bundled Hatchling on the first {BYTES} bytes of its validation text in windows of {WINDOW}: nats per byte, what",
        "that is over the all-f32 model, KL(f32 || this) in nats per byte, and how often both think the same byte most likely.",
        f"rho is compressed and expanded after every {RHO_CHUNK}th token. Activations int8: x and ln(a) as int8, xs*ys as uint8,",
        "a scale a token. Made by `./run accuracy`; the results do not depend on the backend.",
        "",
        "![Nats per byte over f32](accuracy.svg)",
        "",
        "| weights | their rule | a scale a | activations | their rule | rho | nats/byte | over f32 | KL mean | KL 99 % | equal top-1 |",
        "| --- | --- | --- | --- | --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for ((weights, weight_rule, group), (activations, rule), rho), r in results:
        group = {"per_channel": "channel", "per_tensor": "tensor", None: ""}[group]
        lines.append(
            f"| {weights} | {weight_rule or ''} | {group} | {activations} | {rule or ''} | {rho} | {r['nats_per_byte']:.4f} "
            f"| {r['nats_per_byte'] - f32:+.4f} | {r['kl']['mean']:.5f} | {r['kl']['p99']:.5f} | {100 * r['top1_agreement']:.2f} % |"
        )
    return "\n".join(lines) + "\n"


def plot(results, path):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "lowbit"  # the same bytes each time
    import matplotlib.pyplot as plt

    f32 = results[0][1]["nats_per_byte"]
    figure, axis = plt.subplots(figsize=(9, 5))
    for column, rho in enumerate(RHO):
        for ((weights, weight_rule, group), (activations, rule), of_rho), r in results:
            if of_rho != rho or weight_rule == "absmean" or rule == "absmean":
                continue
            marker = "o" if group != "per_tensor" else "s"
            filled = COLORS[weights] if activations == "int8" else "none"
            shift = {"f32": -0.24, "int8": -0.08, "ternary": 0.08, "binary": 0.24}[weights]
            over = max(r["nats_per_byte"] - f32, 1e-5)
            axis.scatter(column + shift, over, marker=marker, facecolors=filled, edgecolors=COLORS[weights], s=40)
    for weights, color in COLORS.items():
        axis.scatter([], [], color=color, label=f"{weights} weights")
    axis.scatter([], [], marker="o", facecolors="none", edgecolors="k", label="a scale a channel")
    axis.scatter([], [], marker="s", facecolors="none", edgecolors="k", label="a scale a tensor")
    axis.scatter([], [], marker="o", color="k", label="int8 activations (hollow: f32)")
    axis.set_yscale("log")
    axis.set_xticks(range(len(RHO)), [f"rho {rho}" for rho in RHO])
    axis.set_ylabel("nats per byte over f32 (below 1e-5: at the edge)")
    axis.set_title("The bundled Hatchling, everything by absmax")
    axis.grid(axis="y", alpha=0.3)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})


if __name__ == "__main__":
    results = measure()
    (ROOT / "docs/accuracy.md").write_text(table(results))
    plot(results, ROOT / "docs/accuracy.svg")
    print(f"wrote docs/accuracy.md and docs/accuracy.svg: {len(results)} configurations")
