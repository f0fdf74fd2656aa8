"""What lowbit_cpu_bench measured, and how that is beside the goals. bench/plot.py writes both into docs/."""
import json
import re
from collections import namedtuple

Run = namedtuple("Run", "microseconds bytes_per_second operations_per_second operations_per_byte roof_share label error")
Key = namedtuple("Key", "work operation formats shape isa who")  # isa with the threads: avx2_t1
WEIGHTS = ("int8", "ternary", "binary")
MOST_ROWS, MOST_STEP = 32, 1.3


def read(path):
    """(context, {Key: Run}) of Google Benchmark's JSON. Of repetitions there is the median."""
    whole = json.loads(path.read_text(encoding="utf-8"))
    runs = {}
    for entry in whole["benchmarks"]:
        if entry.get("aggregate_name", "median") != "median":
            continue
        error = entry.get("error_message", "failed") if entry.get("error_occurred") else None
        counters = (entry.get(field) for field in Run._fields[1:5])
        runs[Key(*entry["run_name"].split("/")[:6])] = Run(
            None if error else entry["real_time"], *counters, entry.get("label", ""), error)
    return whole["context"], runs


def isas(context):
    """Worst first."""
    return context["instruction_sets"].split()


def select(runs, **fields):
    """Those whose key has these fields, or for a pattern matches it, in order."""
    return {key: run for key, run in runs.items()
            if all(re.fullmatch(pattern, getattr(key, field)) for field, pattern in fields.items())}


def one(runs, **fields):
    """The only such run that is sound, or None."""
    found = [run for run in select(runs, **fields).values() if run.error is None]
    return found[0] if len(found) == 1 else None


# ---- Goals: (work, goal, measured, whether it is reached or None) -----------------------------------------------------


def times_faster(run, other):
    return other.microseconds / run.microseconds


def share_of_roof(work, run, least, of):
    return work, f"{100 * least:.0f} % of {of}", f"{100 * run.roof_share:.0f} %", run.roof_share >= least


def at_least(work, run, other, least, of):
    """A goal over another run. One whose results are wrong does not count."""
    goal = f"{least:g} x {of}" if least != 1 else f"faster than {of}"
    if other is None:
        return work, goal, "not measured", None
    times = times_faster(run, other)
    wrong = other.label.startswith("wrong")
    reached = times > 1 if least == 1 else times >= least
    return work, goal, f"{times:.2f} x" + (", which is wrong" if wrong else ""), reached or wrong


def many_rows(runs, isa, is_best):
    for key, run in select(runs, work="many_rows", formats="int8_int8", isa=f"{isa}_t1", who="lowbit").items():
        if run.error:
            yield f"{key.operation}, {key.shape}, {isa}", "right", f"failed: {run.error}", False
            continue
        work = f"many rows, int8, {key.operation}, {key.shape.replace('_', ' ')}, {isa}"
        yield share_of_roof(work, run, 0.8, "multiply-adds from registers")
        if is_best:
            peers = {who: one(runs, **{**key._asdict(), "isa": "any_t1", "who": who}) for who in ("onednn", "openblas")}
            yield at_least(work, run, peers["onednn"], 1, "oneDNN s8 s8 s32")
            yield at_least(work, run, peers["openblas"], 1.5, "OpenBLAS sgemm")


def rows_of(runs, weights, isa):
    """{M: Run} of few rows."""
    found = select(runs, work="few_rows", formats=f"int8_{weights}", isa=f"{isa}_t1", who="lowbit")
    return {int(key.shape.rsplit("_M", 1)[1]): run for key, run in found.items() if run.error is None}


def few_rows(runs, isa, is_best):
    of_format = {weights: rows_of(runs, weights, isa) for weights in WEIGHTS}
    single = {weights: rows.get(1) for weights, rows in of_format.items()}
    if not all(single.values()):
        return
    yield share_of_roof(f"one row, int8, {isa}", single["int8"], 0.9, "a plain read")
    if is_best:
        sgemv = one(runs, work="few_rows", isa=f"{isa}_t1", who="openblas")
        yield at_least(f"one row, int8, {isa}", single["int8"], sgemv, 3.5, "OpenBLAS sgemv")
    for weights, least in (("ternary", 3), ("binary", 4)):
        yield at_least(f"one row, {weights}, {isa}", single[weights], single["int8"], least, "the int8 kernel")
    for weights, rows in of_format.items():
        if set(rows) != set(range(1, MOST_ROWS + 1)):
            continue
        work = f"1 to {MOST_ROWS} rows, {weights}, {isa}"
        slowest = max((run.microseconds / (M * rows[1].microseconds), M) for M, run in rows.items() if M > 1)
        yield work, "never slower than so many single rows", f"{slowest[0]:.2f} of their time at M {slowest[1]}", slowest[0] <= 1
        step = max((rows[M + 1].microseconds / (M + 1) / (rows[M].microseconds / M), M + 1) for M in range(1, MOST_ROWS))
        yield work, f"a row at most {MOST_STEP} x that of one row fewer", f"{step[0]:.2f} x at M {step[1]}", step[0] <= MOST_STEP


def densities(runs, isa):
    """{share of codes that are not 0: Run} of the sparse tail."""
    found = select(runs, work="sparse_tail", isa=f"{isa}_t1", who="lowbit")
    shares = {key: re.search(r"_(\d+)%$", key.shape) for key in found}
    return {int(shares[key][1]) / 100 if shares[key] else 1.0: run for key, run in found.items() if run.error is None}


def sparse_tail(runs, isa, is_best):
    tail = densities(runs, isa)
    if {0.06, 1.0} <= set(tail):
        yield at_least(f"decoder tail, one row, 6 % not zero, {isa}", tail[0.06], tail[1.0], 5, "the dense kernel")


def streaming(runs, isa, is_best):
    for key, run in select(runs, work="streaming", isa=f"{isa}_t2", who="lowbit").items():
        if run.error is None:
            yield share_of_roof(f"{key.operation}, {key.formats}, two threads, {isa}", run, 0.85, "a copy of the same bytes")


def goals(context, runs):
    names = isas(context)
    for judge in (many_rows, few_rows, sparse_tail, streaming):
        for isa in reversed(names):
            yield from judge(runs, isa, isa == names[-1])


# ---- Markdown --------------------------------------------------------------------------------------------------------


def machine(context):
    size = {f"L{cache['level']}": cache["size"] >> 10 for cache in context["caches"] if cache["type"] != "Instruction"}
    caches = ", ".join(f"{name} {kib >> 10} MiB" if kib >= 1024 else f"{name} {kib} KiB" for name, kib in size.items())
    return (f"{context['processor']}, {context['num_cpus']} threads at {context['mhz_per_cpu']} MHz as the system has it; "
            f"{caches}; {context['compiler']}; instruction sets: {', '.join(isas(context))}.")


def roofs(context, runs):
    """One sentence a roof."""
    for isa in isas(context):
        found = select(runs, work="many_rows", isa=f"{isa}_t1", who="registers").values()
        fastest = max((run.operations_per_second for run in found if not run.error), default=None)
        if fastest:
            yield f"{isa} from registers {fastest / 2e9:.0f} G multiply-adds/s"
    best = isas(context)[-1]
    read_run = one(runs, work="few_rows", isa=f"{best}_t1", who="read")
    if read_run:
        yield f"one thread reads {read_run.bytes_per_second / 1e9:.0f} GB/s"
    copies = [run.bytes_per_second for run in select(runs, work="streaming", who="copy").values() if not run.error]
    if copies:
        yield f"two copy {sorted(copies)[len(copies) // 2] / 1e9:.0f} GB/s, read and written"


def table(context, runs):
    lines = ["| work | goal | measured | reached |", "| --- | --- | ---: | --- |"]
    for work, goal, measured, reached in goals(context, runs):
        lines.append(f"| {work} | {goal} | {measured} | {({True: 'yes', False: '**no**', None: ''})[reached]} |")
    return lines


def markdown(context, runs):
    return "\n".join([machine(context), "", "Roofs: " + "; ".join(roofs(context, runs)) + ".", "", *table(context, runs)])
