"""Draws a trace that the profiler wrote: a lane a stream, a bar a launch, and each kernel's share of the time. Of a GPU the
calls have a lane of their own above their stream's."""
import json
from collections import defaultdict
from pathlib import Path


def read(path):
    """[(lane, kernel, begin, duration)] in microseconds of the launches and of the calls, and the lanes' names."""
    events = json.loads(Path(path).read_text(encoding="utf-8"))["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    bars = {"kernel": [], "call": []}
    for e in events:
        if e["ph"] == "X":
            bars[e["cat"]].append((e["tid"], e["name"], e["ts"], e["dur"]))
    return bars["kernel"], bars["call"], names


def middle(launches, count=120):
    """So many launches from the middle of the trace, where all is warm; at most as long as makes them visible."""
    first = max(0, (len(launches) - count) // 2)
    return launches[first:first + count]


def draw(source, target):
    import matplotlib

    matplotlib.use("agg")
    matplotlib.rcParams["svg.hashsalt"] = "lowbit"
    import matplotlib.pyplot as plt

    launches, calls, names = read(source)
    launches.sort(key=lambda launch: launch[2])
    totals = defaultdict(float)
    for _, kernel, _, duration in launches:
        totals[kernel] += duration
    kernels = sorted(totals, key=totals.get, reverse=True)
    colors = {kernel: plt.cm.tab10(i % 10) for i, kernel in enumerate(kernels)}
    shown = middle(launches)
    start = shown[0][2]
    end = max(begin + duration for _, _, begin, duration in shown)
    calls = [call for call in calls if start <= call[2] and call[2] + call[3] <= end]

    figure, (lanes, bars) = plt.subplots(2, 1, figsize=(12, 2.5 + 0.4 * (len(names) + len(kernels))), layout="constrained",
                                         height_ratios=(1 + len(names), 1 + len(kernels)))
    for row, tid in enumerate(sorted(names)):
        for kernel in kernels:
            spans = [(begin - start, duration) for lane, name, begin, duration in shown + calls
                     if (lane, name) == (tid, kernel)]
            lanes.broken_barh(spans, (row - 0.4, 0.8), color=colors[kernel])
    lanes.set_yticks(range(len(names)), [names[tid] for tid in sorted(names)])
    lanes.invert_yaxis()
    lanes.set(xlabel="microseconds")
    lanes.set_title(f"{len(shown)} launches from the middle of {len(launches)}", loc="left", fontsize=9)
    for row, kernel in enumerate(kernels):
        bars.barh(row, totals[kernel] / 1e3, color=colors[kernel])
        bars.text(totals[kernel] / 1e3, row, f" {100 * totals[kernel] / sum(totals.values()):.0f} %", va="center", fontsize=8)
    bars.set_yticks(range(len(kernels)), kernels, fontsize=8)
    bars.invert_yaxis()
    bars.margins(x=0.08)
    bars.set(xlabel="milliseconds, all launches")
    figure.savefig(target, metadata={"Date": None} if str(target).endswith(".svg") else None)
