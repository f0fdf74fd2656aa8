#!/usr/bin/env python3
"""Everything that takes a GPU, in one report: `./run gpu [parity|sanitizer|bench]...`, all three where none is named.

Runs the parity tests, the same under compute-sanitizer, and the benchmarks, and writes report.md. What each check gave is
kept beside it in results.json, so stages that run one at a time end in one report; --report-only only writes that again.
Exit code: 0, 1 where a check failed, 2 where none failed and one could not run. A missed goal changes nothing there.
"""
import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# ---- Goals -----------------------------------------------------------------------------------------------------------
# A judge takes the graph's runs of one benchmark, {who: Run}, and the microseconds of an empty graph node (None where it
# was not measured). It returns whether the goal is reached, None where that cannot be told, and the figures.

Run = namedtuple("Run", "microseconds copy_share operations_per_second kernel error")


def share_of_copy(least):
    return lambda runs, empty: (runs["lowbit"].copy_share >= least, f"{100 * runs['lowbit'].copy_share:.1f} %")


def under(microseconds):
    return lambda runs, empty: (runs["lowbit"].microseconds < microseconds, f"{runs['lowbit'].microseconds:.2f} us")


def prefill(runs, empty):
    rate, faster = runs["lowbit"].operations_per_second, times_faster(runs, "cublaslt")
    if faster is None:
        return None if rate >= 1.2e15 else False, f"{rate / 1e12:.0f} TOPS; no cuBLASLt"
    return rate >= 1.2e15 and faster >= 1, f"{rate / 1e12:.0f} TOPS; {faster:.2f} x cuBLASLt"


def times_floor(run, empty):
    """The floor is an empty node and the bytes at copy speed."""
    return None if empty is None else run.microseconds / (empty + run.microseconds * run.copy_share)


def near_floor(runs, empty):
    over = times_floor(runs["lowbit"], empty)
    return (None, "no floor") if over is None else (over <= 1.5, f"{over:.2f} x the floor")


def seed(runs, empty):
    faster, over = times_faster(runs, "naive"), times_floor(runs["lowbit"], empty)
    verdicts = [None if faster is None else faster >= 3, None if over is None else over <= 1.5]
    figures = [f"{faster:.2f} x naive" if faster else "no naive", f"{over:.2f} x the floor" if over else "no floor"]
    return True if True in verdicts else None if None in verdicts else False, "; ".join(figures)


NEAR = "within 1.5 x of an empty node and the bytes at copy speed"
SEED = f"3 x naive, or {NEAR}"
GOALS = [  # (of what, benchmarks, goal, judge)
    ("decode int8, 64 MB of weights or more",
     r"(lowrank_projection/int8_int8/H1_K8192_N(8192|21760)|decoder_tail/int8_int8/H4_K8192_N4096)_M(1|2|4|8|16)",
     "85 % of copy speed", share_of_copy(0.85)),
    ("decode ternary", r"lowrank_projection/int8_ternary/H1_K8192_N8192_M1", "under 8 us", under(8)),
    ("decode binary", r"lowrank_projection/int8_binary/H1_K8192_N8192_M1", "under 6 us", under(6)),
    ("prefill int8", r"lowrank_projection/int8_int8/H1_(K4096_N16384_M4096|K8192_N8192_M8192)",
     "cuBLASLt's speed and 1200 TOPS", prefill),
    ("seed lowrank", r"lowrank_projection/int8_int8/H4_K256_N128_M1024", SEED, seed),
    ("seed decoder tail", r"decoder_tail/int8_int8/H4_K128_N256_M1024", SEED, seed),
    ("seed rho", r"rho_(compress|expand)/f32_\w+/524288values", NEAR, near_floor),
    ("quantize_pack", r"quantize_pack/f32_int8/8192x8192_per_token", "90 % of copy speed", share_of_copy(0.9)),
    ("rho_compress", r"rho_compress/f32_\w+/67108864values", "90 % of copy speed", share_of_copy(0.9)),
    ("rho_expand", r"rho_expand/f32_\w+/67108864values", "90 % of copy speed", share_of_copy(0.9)),
]

# ---- Checks ----------------------------------------------------------------------------------------------------------

STAGES = ("parity", "sanitizer", "bench")
# `before` is a program that runs the program, `backend` what the tests are of.
Check = namedtuple("Check", "stage name before program arguments backend", defaults=("cuda",))

# About values, not addresses: a sanitizer has nothing to see there.
VALUE_TESTS = ("HostileValues", "HostileScales", "CallersFloatSettings")
ADDRESS_TESTS = "--gtest_filter=-" + ":".join(f"*.{test}/*" for test in VALUE_TESTS)

PROGRESS = re.compile(r"^\[ +(OK|FAILED) .*\(\d+ ms\)$|_median |ERROR")  # a test's end, a benchmark's median
COUNTS = {
    "passed": r"^\[  PASSED  \] (\d+) test",
    "skipped": r"^\[  SKIPPED \] (\d+) test",
    "failed": r"^\[  FAILED  \] (\d+) test",
    "found by the sanitizer": r"SUMMARY: (\d+) (?:error|hazard)",
}
KERNELS = {"kernels compared": "compared", "kernels missed": "MISSED", "kernels barred": "BARRED"}


def checks(binaries, folder):
    parity = binaries / "lowbit_parity_tests"
    table = [Check("parity", "parity_tests", [], parity, []),
             Check("parity", "cuda_tests", [], binaries / "lowbit_cuda_tests", []),
             Check("parity", "vulkan_parity_tests", [], parity, [], "vulkan")]
    for tool in ("memcheck", "racecheck", "synccheck", "initcheck"):
        before = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "99"]
        table.append(Check("sanitizer", tool, before, parity, [ADDRESS_TESTS]))
    flags = [f"--benchmark_out={folder / 'bench.json'}", "--benchmark_out_format=json"]
    return table + [Check("bench", "bench", [], binaries / "lowbit_cuda_bench", flags)]


def find(program):
    """Its path, also where CUDA puts what it does not put on PATH; or None."""
    more = ["/usr/local/cuda/bin", *sorted(glob.glob("/usr/local/cuda*/compute-sanitizer"))]
    return shutil.which(str(program), path=os.pathsep.join([os.environ.get("PATH", ""), *more]))


def judge(check, code, log, folder):
    """(outcome, reason, counts) of a check that ran."""
    counts = {what: int(found[1]) for what, pattern in COUNTS.items() if (found := re.search(pattern, log, re.M))}
    counts.update({what: n for what, word in KERNELS.items() if (n := len(re.findall(f"^{word} ", log, re.M)))})
    if check.stage == "bench":
        if code == 2:
            return "not run", "no GPU: " + (log.strip().splitlines() or [""])[-1], {}
        runs = [run for of in read_benchmarks(folder)[1].values() for run in of.values()]
        counts = {"benchmarks": len(runs), "failed": sum(run.error is not None for run in runs)}
        tested = counts["benchmarks"]
    else:
        tested = counts.get("passed")
        if tested == 0 and "failed" not in counts:
            skipped = re.search(r": Skipped\n(.+)", log)
            return "not run", "no test ran" + (f": {skipped[1]}" if skipped else ""), counts
    if code != 0:
        return "failed", f"exit code {code}" if code > 0 else f"signal {-code}", counts
    return ("passed", "", counts) if tested else ("failed", "exit code 0, and nothing was tested", counts)


def run_check(check, folder):
    """A row of results.json. Everything that the command prints goes to <name>.log."""
    command = [*check.before, check.program, *check.arguments]
    row = {"stage": check.stage, "name": check.name, "seconds": 0.0, "counts": {}, "commit": commit(), "machine": machine(),
           "command": " ".join([*check.before, check.program.name, *check.arguments]).replace(f"{ROOT}/", "")}
    print(f"{check.name}: {row['command']}", flush=True)
    for program in [*check.before[:1], check.program]:
        if find(program) is None:
            return {**row, "outcome": "not run", "reason": f"{str(program).replace(f'{ROOT}/', '')} is not found"}
    if check.stage == "bench":
        (folder / "bench.json").unlink(missing_ok=True)
    start = time.monotonic()
    path = folder / f"{check.name}.log"
    with open(path, "w", buffering=1, encoding="utf-8") as log, subprocess.Popen(
            [find(command[0]), *map(str, command[1:])], env={**os.environ, "LOWBIT_TEST_BACKEND": check.backend},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", errors="replace") as process:
        for line in process.stdout:
            log.write(line)
            if PROGRESS.search(line):
                print("  " + line.rstrip(), flush=True)
    text = path.read_text(encoding="utf-8")
    row["outcome"], row["reason"], row["counts"] = judge(check, process.returncode, text, folder)
    row["seconds"] = time.monotonic() - start
    if row["outcome"] == "failed":
        print(f"The end of {path}:", *text.splitlines()[-30:], sep="\n  | ")
    return row


def output_of(*command):
    """The first line a command prints; nothing where it fails."""
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8", cwd=ROOT)
        return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout else ""
    except OSError:
        return ""


def commit():
    return output_of("git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*")


def machine():
    fields = "name,driver_version,clocks.max.sm,clocks.max.memory,power.limit"
    values = output_of("nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader").split(", ")
    return "{}, driver {}, at most {} (SM) and {} (memory), {}".format(*values) if len(values) == 5 else ""


# ---- The report ------------------------------------------------------------------------------------------------------


def read_benchmarks(folder):
    """(context, {name: {(mode, who): Run}}) of bench.json. Of repetitions there is the median."""
    try:
        whole = json.loads((folder / "bench.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}, {}
    benchmarks = {}
    for entry in whole["benchmarks"]:
        if entry.get("aggregate_name", "median") != "median":
            continue
        *name, mode, who = entry["run_name"].split("/")[:5]
        error = entry.get("error_message", "failed") if entry.get("error_occurred") else None
        microseconds = None if error else entry["real_time"]
        benchmarks.setdefault("/".join(name), {})[mode, who] = Run(
            microseconds, entry.get("copy_share"), entry.get("operations_per_second"), entry.get("label", ""), error)
    return whole["context"], benchmarks


def graph_runs(benchmarks, name):
    return {who: run for (mode, who), run in benchmarks.get(name, {}).items() if mode == "graph"}


def times_faster(runs, peer):
    """How many times faster lowbit is than a peer; None where that was not measured."""
    sound = peer in runs and runs[peer].error is None
    return runs[peer].microseconds / runs["lowbit"].microseconds if sound else None


def markdown(head, rows):
    line = "| {} |".format
    clean = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    rule = ["---:" if name.startswith(">") else "---" for name in head]
    return [line(" | ".join(row)) for row in ([name.lstrip(">") for name in head], rule, *clean)] + [""]


def check_rows(results):
    for row in results:
        counts = ", ".join(f"{n} {what}" for what, n in row["counts"].items())
        outcome = row["outcome"] + (f": {row['reason']}" if row["reason"] else "")
        yield f"`{row['command']}`", outcome, f"{row['seconds']:.1f}", counts, row["commit"] or "unknown"


def goal_rows(benchmarks):
    floor = graph_runs(benchmarks, "launch/none/empty_kernel").get("floor")
    empty = floor.microseconds if floor and floor.error is None else None
    for what, pattern, goal, judge_goal in GOALS:
        names = [name for name in benchmarks if re.fullmatch(pattern, name) and "lowbit" in graph_runs(benchmarks, name)]
        if not names:
            yield what, "", goal, "", "not measured"
        for name in names:
            runs = graph_runs(benchmarks, name)
            error = runs["lowbit"].error
            reached, figures = (False, f"failed: {error}") if error else judge_goal(runs, empty)
            yield what, name, goal, figures, {True: "reached", False: "**missed**", None: "not measured"}[reached]


def benchmark_rows(benchmarks):
    def cell(value, layout, scale=1.0):
        return layout.format(scale * value) if value is not None else ""

    for name, runs in benchmarks.items():
        for who in dict.fromkeys(who for _, who in runs if who not in ("naive", "cublaslt")):
            graph, eager = runs.get(("graph", who)), runs.get(("eager", who))
            run = graph or eager
            if run.error is not None:
                yield name, f"failed: {run.error}", *[""] * 6
                continue
            peers = {**graph_runs(benchmarks, name), "lowbit": run}
            yield (name, run.kernel, cell(graph and graph.microseconds, "{:.2f}"), cell(eager and eager.microseconds, "{:.2f}"),
                   cell(run.copy_share, "{:.1f} %", 100), cell(run.operations_per_second, "{:.3g}", 1e-12),
                   *(cell(times_faster(peers, peer), "{:.2f}") for peer in ("naive", "cublaslt")))


def draw(benchmarks, path):
    """Whether there is a plot: that takes matplotlib and benchmarks."""
    bars = {name: runs["lowbit"] for name in benchmarks if "lowbit" in (runs := graph_runs(benchmarks, name))}
    bars = {name: 1 / run.copy_share for name, run in bars.items() if run.error is None and run.copy_share}
    path.unlink(missing_ok=True)
    try:
        import matplotlib
    except ImportError:
        return False
    if not bars:
        return False
    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(10, 1 + 0.2 * len(bars)))
    axis.barh(list(bars), list(bars.values()))
    axis.axvline(1, color="k", linewidth=0.8)
    axis.set_xscale("log")
    axis.set_ylim(len(bars) - 0.5, -0.5)
    axis.set_xlabel("time over the time that its bytes take at copy speed")
    axis.grid(axis="x", which="both", alpha=0.3)
    axis.tick_params(axis="y", labelsize=7)
    figure.savefig(path, bbox_inches="tight", dpi=120)
    return True


def report(results, folder):
    """Writes report.md, and report.png where matplotlib is."""
    context, benchmarks = read_benchmarks(folder)
    machines = [f"- {name}" for name in dict.fromkeys(row["machine"] for row in results) if name]
    if context:
        speed = float(context.get("copy_bytes_per_second", "nan"))
        machines.append(f"- The benchmarks' device: {context.get('device')}, L2 of {context.get('l2_bytes')} bytes, "
                        f"{speed / 1e12:.3g} TB/s in a copy, {context.get('date')}")
    lines = ["# lowbit on a GPU", "", "Made by `./run gpu`.", "", *(machines or ["- The machine is unknown."]), ""]
    lines += ["## Checks", ""]
    lines += markdown(("command", "outcome", ">seconds", "counts", "commit"), check_rows(results))
    lines += ["## Goals", ""]
    lines += markdown(("what", "benchmark", "goal", ">measured", "outcome"), goal_rows(benchmarks))
    lines += ["## Benchmarks", "", "Medians in microseconds; `x`: how many times faster the graph is than that peer.", ""]
    head = ("benchmark", "kernel", ">graph", ">eager", ">of copy speed", ">TOPS", ">x naive", ">x cuBLASLt")
    lines += markdown(head, benchmark_rows(benchmarks))
    is_drawn = draw(benchmarks, folder / "report.png")
    lines += ["![Time over the floor](report.png)" if is_drawn else "No plot: that takes matplotlib and benchmarks."]
    (folder / "report.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="gpu.py", description=__doc__.splitlines()[0])
    parser.add_argument("stages", nargs="*", metavar="stage", help="parity, sanitizer or bench, or one check of them: memcheck")
    parser.add_argument("--report-only", action="store_true", help="run nothing, write the report again")
    parser.add_argument("--folder", type=Path, default=ROOT / "build/gpu/report", help="of the report")
    parser.add_argument("--binaries", type=Path, default=ROOT / "build/gpu/bin", help="the folder of the programs")
    options = parser.parse_args(arguments)
    folder = options.folder.resolve()
    table = checks(options.binaries.resolve(), folder)
    known = {*STAGES, *(check.name for check in table)}
    for stage in options.stages:
        if stage not in known:
            parser.error(f"there is no stage '{stage}', but {', '.join(STAGES)}")

    folder.mkdir(parents=True, exist_ok=True)
    stored = folder / "results.json"
    results = {row["name"]: row for row in json.loads(stored.read_text(encoding="utf-8"))} if stored.exists() else {}
    outcomes = set()
    for check in table if not options.report_only else []:
        if {check.stage, check.name}.isdisjoint(options.stages or STAGES):
            continue
        results[check.name] = row = run_check(check, folder)
        outcomes.add(row["outcome"])
        print(f"{check.name}: {row['outcome']}" + (f": {row['reason']}" if row["reason"] else ""), flush=True)
        ordered = [results[check.name] for check in table if check.name in results]
        stored.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
    report([results[check.name] for check in table if check.name in results], folder)
    print(f"wrote {folder / 'report.md'}")
    return 1 if "failed" in outcomes else 2 if "not run" in outcomes else 0


if __name__ == "__main__":
    sys.exit(main())
