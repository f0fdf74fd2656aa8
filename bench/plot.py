#!/usr/bin/env python3
"""Draws what lowbit_cpu_bench measured: docs/performance.svg, and the table in docs/performance.md. `./run bench`
Or a trace that the profiler wrote.

usage: plot.py [JSON [FOLDER]], build/release/cpu_bench.json and docs where they are not named
       plot.py --trace JSON PICTURE
"""
import sys
from pathlib import Path

import lanes
import performance

ROOT = Path(__file__).resolve().parent.parent
COLORS = {"int8": "#1f77b4", "ternary": "#2ca02c", "binary": "#d62728"}
SHAPES = {"lowrank_projection/K256": "o", "lowrank_projection/K2048": "s", "decoder_tail/K2048": "D"}
BEGIN, END = "<!-- measured: written by bench/plot.py -->\n", "<!-- end of measured -->\n"
EMPTY = f"# Performance of the cpu backend\n\n{BEGIN}{END}"


def weights_of(key):
    return key.formats.split("_")[1]


def dot(axis, run, **style):
    axis.scatter(run.operations_per_byte, run.operations_per_second / 1e9, zorder=3, **style)


def draw_roofline(axis, context, runs):
    best = performance.isas(context)[-1]
    sound = {key: run for key, run in runs.items() if run.error is None}
    left, right = 0.3, 2000
    read = performance.one(sound, work="few_rows", isa=f"{best}_t1", who="read")
    speed = read.bytes_per_second / 1e9
    top = 0
    for isa in performance.isas(context):
        found = performance.select(sound, work="many_rows", isa=f"{isa}_t1", who="registers").values()
        roof = max(run.operations_per_second for run in found) / 1e9
        top = max(top, roof)
        axis.plot([roof / speed, right], [roof, roof], color="k", linewidth=1)
        axis.text(right, roof * 1.05, f"{isa} from registers: {roof:.0f} Gop/s", ha="right", va="bottom", fontsize=8)
    axis.plot([left, top / speed], [left * speed, top], color="k", linewidth=1)
    axis.annotate(f"plain read: {speed:.0f} GB/s", (1, speed), rotation=45, rotation_mode="anchor", xytext=(-6, 4),
                  textcoords="offset points", fontsize=8, transform_rotates_text=True)

    for weights, color in COLORS.items():
        rows = performance.rows_of(sound, weights, best)
        line = [(run.operations_per_byte, run.operations_per_second / 1e9) for _, run in sorted(rows.items())]
        axis.plot(*zip(*line), color=color, linewidth=1, marker=".", markersize=3, zorder=2)
        for M in (1, 4, 32):
            shift = (-4, 6) if weights == "binary" else (4, -10)
            axis.annotate(f"M {M}", line[M - 1], xytext=shift, textcoords="offset points", fontsize=7, color=color)
    for key, run in performance.select(sound, work="many_rows", who="lowbit").items():
        marker = SHAPES.get(f"{key.operation}/{key.shape.split('_')[1]}", "o")
        color = COLORS[weights_of(key)]
        is_best = key.isa == f"{best}_t1"
        dot(axis, run, marker=marker, s=36, facecolors=color if is_best else "none", edgecolors=color)
    for share, run in performance.densities(sound, best).items():
        dot(axis, run, marker="v", s=22, color=COLORS["int8"], alpha=0.3 + 0.7 * share)
    for key, run in performance.select(sound, who="onednn|openblas").items():
        top = max(top, run.operations_per_second / 1e9)
        dot(axis, run, marker="+" if key.who == "onednn" else "x", s=40, color="#555555")

    for name, color in COLORS.items():
        axis.plot([], [], color=color, label=f"{name} weights; line: 1 to 32 rows, {best}")
    for name, marker in SHAPES.items():
        axis.scatter([], [], marker=marker, color="#888888", label=f"M 1024, {name.replace('/', ', ')}")
    axis.scatter([], [], marker="o", facecolors="none", edgecolors="#888888", label="hollow: the other instruction sets")
    axis.scatter([], [], marker="v", color=COLORS["int8"], label="decoder_tail, one row; pale: mostly zero")
    axis.scatter([], [], marker="+", color="#555555", label="oneDNN, int8")
    axis.scatter([], [], marker="x", color="#555555", label="OpenBLAS, floats")
    axis.set(xscale="log", yscale="log", xlim=(left, right), ylim=(left * speed, 2 * top),
             xlabel="operations a byte that must move (a multiply-add is two operations)", ylabel="Gop/s, one thread")
    axis.set_title(f"Roofline: {context['processor']}", loc="left")
    axis.grid(which="both", alpha=0.15)
    axis.legend(loc="lower right", fontsize=7.5)


def draw_few_rows(axis, context, runs):
    from matplotlib.ticker import NullLocator

    best = performance.isas(context)[-1]
    for weights, color in COLORS.items():
        rows = sorted(performance.rows_of(runs, weights, best).items())
        axis.plot([M for M, _ in rows], [run.microseconds / M for M, run in rows], color=color, marker=".", markersize=4,
                  label=weights)
    axis.set(xscale="log", yscale="log", xlabel="rows", ylabel="microseconds a row")
    axis.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter("{x:g}")
    axis.tick_params(axis="y", which="both", labelsize=7)
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_title(f"Few rows, K 1024, N 32768, {best}", loc="left", fontsize=9)
    axis.grid(alpha=0.2)
    axis.legend(fontsize=8)


def draw_sparse_tail(axis, context, runs):
    for isa in performance.isas(context):
        tail = sorted(performance.densities(runs, isa).items())
        dense = dict(tail)[1.0].microseconds
        axis.plot([100 * share for share, _ in tail], [dense / run.microseconds for _, run in tail], marker=".", label=isa)
    axis.axhline(1, color="k", linewidth=0.8)
    axis.plot([6], [5], marker="*", color="k", linestyle="none", label="goal")
    axis.set(xscale="log", yscale="log", xlabel="% of activations that are not 0", ylabel="x the dense kernel")
    axis.set_xticks([1, 3, 6, 12, 25, 50, 100], ["1", "3", "6", "12", "25", "50", "100"])
    axis.set_yticks([1, 2, 5, 10, 20, 50], ["1", "2", "5", "10", "20", "50"])
    axis.minorticks_off()
    axis.set_title("decoder_tail, one row, K 32768, N 1024", loc="left", fontsize=9)
    axis.grid(alpha=0.2)
    axis.legend(fontsize=8)


def draw_streaming(axis, context, runs):
    best = performance.isas(context)[-1]
    bars = {key: run for key, run in performance.select(runs, work="streaming", isa=f"{best}_t2", who="lowbit").items()
            if run.roof_share}
    for row, (key, run) in enumerate(bars.items()):
        axis.barh(row, 100 * run.roof_share, height=0.65, color=COLORS[weights_of(key)])
        axis.text(1, row, f"{100 * run.roof_share:.0f} %", va="center", fontsize=7, color="w" if run.roof_share > 0.1 else "k")
    axis.axvline(85, color="k", linewidth=0.8, linestyle="--")
    axis.set_yticks(range(len(bars)), [f"{key.operation} {weights_of(key)}" for key in bars], fontsize=7)
    axis.invert_yaxis()
    axis.set(xlim=(0, 105 * max(1, *(run.roof_share for run in bars.values()))), xlabel="% of a copy of the same bytes (goal: 85)")
    axis.set_title("Streaming, 256 MB, two threads", loc="left", fontsize=9)


def draw(context, runs, path):
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "lowbit"
    import matplotlib.pyplot as plt

    figure = plt.figure(figsize=(12, 10.5), layout="constrained")
    grid = figure.add_gridspec(2, 3, height_ratios=(2, 1))
    draw_roofline(figure.add_subplot(grid[0, :]), context, runs)
    draw_few_rows(figure.add_subplot(grid[1, 0]), context, runs)
    draw_sparse_tail(figure.add_subplot(grid[1, 1]), context, runs)
    draw_streaming(figure.add_subplot(grid[1, 2]), context, runs)
    figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def write(path, measured):
    """Puts the text between the markers."""
    page = path.read_text(encoding="utf-8") if path.exists() else EMPTY
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    path.write_text(f"{before}{BEGIN}\n{measured}\n\n{END}{after}", encoding="utf-8")


def main(source=ROOT / "build/release/cpu_bench.json", folder=ROOT / "docs"):
    context, runs = performance.read(Path(source))
    measured = performance.markdown(context, runs)
    print(measured)
    write(Path(folder) / "performance.md", measured)
    draw(context, runs, Path(folder) / "performance.svg")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--trace"]:
        lanes.draw(*sys.argv[2:])
    else:
        main(*sys.argv[1:])
