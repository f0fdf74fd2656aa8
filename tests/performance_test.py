#!/usr/bin/env python3
"""bench/performance.py: its goals at their bounds, and the table of a real benchmark's JSON.

LOWBIT_SMOKE_JSON names the JSON that `lowbit_cpu_bench --smoke` wrote; CTest sets it.
"""

import json
import os
import sys
import tempfile
import unittest
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import lanes  # noqa: E402
import performance  # noqa: E402

CONTEXT = {"instruction_sets": "scalar avx2"}
MANY = "many_rows/lowrank_projection/int8_int8/H1_K256_N2048_M1024"
FEW = "few_rows/lowrank_projection/int8_{}/H1_K1024_N32768_M{}/avx2_t1/lowbit"
TAIL = "sparse_tail/decoder_tail/int8_int8/H1_K32768_N1024_M1{}/avx2_t1/lowbit"


def entry(name, microseconds=1.0, share=None, label="kernel", aggregate="median"):
    return {"run_name": f"{name}/iterations:1/repeats:9/manual_time", "aggregate_name": aggregate,
            "real_time": microseconds, "roof_share": share, "label": label}


def outcomes(*entries):
    """[reached] of the goals."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bench.json"
        wrong = [entry(e["run_name"].rsplit("/", 3)[0], 1e9, 1e-9, aggregate="mean") for e in entries]
        path.write_text(json.dumps({"context": CONTEXT, "benchmarks": wrong + list(entries)}))
        return [reached for *_, reached in performance.goals(*performance.read(path))]


class PerformanceTest(unittest.TestCase):
    def test_many_rows(self):
        for share, onednn, openblas, label, expected in (
            (0.8, 2.01, 3, "brg", [True, True, True]), (0.79, 2, 2.99, "brg", [False, False, False]),
            (0.8, 1, 3, "wrong: 32640", [True, True, True]),
        ):
            with self.subTest(share=share, onednn=onednn):
                self.assertEqual(expected, outcomes(
                    entry(f"{MANY}/avx2_t1/lowbit", 2, share), entry(f"{MANY}/any_t1/onednn", onednn, label=label),
                    entry(f"{MANY}/any_t1/openblas", openblas)))
        self.assertEqual([True, None, None], outcomes(entry(f"{MANY}/avx2_t1/lowbit", 2, 0.8)))

    def test_few_rows(self):
        def rows(ternary, binary, step):
            for weights, single in (("int8", 12.0), ("ternary", ternary), ("binary", binary)):
                yield entry(FEW.format(weights, 1), single, 0.9)
                for M in range(2, 33):  # a row takes half as long as one alone, and at 17 it takes `step` times that
                    yield entry(FEW.format(weights, M), M * single / 2 * (step if M == 17 else 1), 0.1)

        self.assertEqual([True, None] + [True] * 8, outcomes(*rows(4, 3, 1.3)))
        self.assertEqual([True, None, False, False] + [True, False] * 3, outcomes(*rows(4.1, 3.1, 1.31)))
        self.assertEqual([True, None, True, True] + [False, False] * 3, outcomes(*rows(4, 3, 2.1)))

    def test_sparse_tail(self):
        for sparse, expected in ((1, [True]), (1.01, [False])):
            self.assertEqual(expected, outcomes(entry(TAIL.format("_6%"), sparse), entry(TAIL.format(""), 5)))

    def test_streaming(self):
        for share, expected in ((0.85, [True]), (0.84, [False])):
            self.assertEqual(expected, outcomes(entry("streaming/rho_expand/f32_int8/9values/avx2_t2/lowbit", 1, share)))

    @unittest.skipUnless("LOWBIT_SMOKE_JSON" in os.environ, "LOWBIT_SMOKE_JSON names no file")
    def test_the_smoke_run(self):
        context, runs = performance.read(Path(os.environ["LOWBIT_SMOKE_JSON"]))
        self.assertFalse([run.error for run in runs.values() if run.error])
        text = performance.markdown(context, runs)
        for words in ("many rows, int8", "one row, binary", "1 to 32 rows, ternary", "decoder tail", "rho_compress"):
            self.assertIn(words, text)


class LanesTest(unittest.TestCase):
    def test_reads_launches_and_the_names_of_streams(self):
        events = [{"name": "process_name", "ph": "M", "pid": 1, "args": {"name": "cpu"}},
                  {"name": "thread_name", "ph": "M", "pid": 1, "tid": 2, "args": {"name": "stream 2"}},
                  {"name": "k", "cat": "call", "ph": "X", "pid": 1, "tid": 1, "ts": 1, "dur": 0.5},
                  {"name": "k", "cat": "kernel", "ph": "X", "pid": 1, "tid": 2, "ts": 1.5, "dur": 0.25}]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trace.json"
            path.write_text(json.dumps({"traceEvents": events}), encoding="utf-8")
            self.assertEqual(lanes.read(path), ([(2, "k", 1.5, 0.25)], [(1, "k", 1, 0.5)], {2: "stream 2"}))

    def test_takes_the_middle(self):
        self.assertEqual(lanes.middle(list(range(10)), 4), [3, 4, 5, 6])
        self.assertEqual(lanes.middle([1, 2], 4), [1, 2])


if __name__ == "__main__":
    unittest.main()
