#!/usr/bin/env python3
"""bench/gpu.py: its goals at their bounds, its report of a real benchmark's JSON, its exit codes.

LOWBIT_SMOKE_JSON names the JSON that `lowbit_cuda_bench --smoke` wrote; CTest sets it.
"""

import contextlib
import io
import json
import os
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
import gpu  # noqa: E402

PROJECTION = "lowrank_projection/int8_int8/H1_K8192_N8192_M8192"
SEEDS = "lowrank_projection/int8_int8/H4_K256_N128_M1024", "decoder_tail/int8_int8/H4_K128_N256_M1024"
EMPTY = ("launch/none/empty_kernel/graph/floor", 2.0)
PASSED = "[       OK ] A.B/cuda (1 ms)\n[  PASSED  ] 2 tests.\ncompared some_kernel\n"
SKIPPED = "a.cpp:1: Skipped\nthere is no GPU\n[  PASSED  ] 0 tests.\n[  SKIPPED ] 2 tests, listed below:\n"


def entries(name, microseconds, share=None, rate=None):
    """What Google Benchmark writes of a benchmark with repetitions; only the median is sound here."""
    counters = {"copy_share": share, "operations_per_second": rate}
    for aggregate, value in (("mean", 1e9), ("median", microseconds), ("cv", 1e-9)):
        entry = {"name": f"{name}/manual_time_{aggregate}", "run_name": f"{name}/iterations:3/repeats:7/manual_time",
                 "run_type": "aggregate", "aggregate_name": aggregate, "real_time": value, "time_unit": "us", "label": "kernel"}
        yield {**entry, **{key: counter for key, counter in counters.items() if counter is not None}}


class GpuReportTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.programs = self.folder / "bin"
        self.programs.mkdir()

    def run_main(self, *arguments):
        """(exit code, standard output)"""
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            code = gpu.main([*arguments, "--folder", str(self.folder), "--binaries", str(self.programs)])
        return code, out.getvalue()

    def report(self):
        return (self.folder / "report.md").read_text()

    def program(self, name, output="", code=0):
        path = self.programs / name
        path.write_text(f"#!/bin/sh\necho \"$@\" $LOWBIT_TEST_BACKEND >> \"$0.calls\"\ncat <<'END'\n{output}END\nexit {code}\n")
        path.chmod(0o755)

    def goals(self, *benchmarks):
        """{benchmark: (figures, outcome)} of the goals that were measured."""
        of_all = [entry for benchmark in benchmarks for entry in entries(*benchmark)]
        (self.folder / "bench.json").write_text(json.dumps({"context": {}, "benchmarks": of_all}))
        self.assertEqual(self.run_main("--report-only")[0], 0)
        rows = list(gpu.goal_rows(gpu.read_benchmarks(self.folder)[1]))
        for row in rows:
            self.assertIn(f"| {' | '.join(row)} |", self.report())
        return {name: (figures, outcome) for _, name, _, figures, outcome in rows if name}

    def test_goals_of_one_figure(self):
        for name, reached, missed in (
            ("lowrank_projection/int8_int8/H1_K8192_N21760_M16", (9, 0.85), (9, 0.8499)),
            ("lowrank_projection/int8_int8/H1_K8192_N8192_M1", (9, 0.85), (9, 0.8499)),
            ("decoder_tail/int8_int8/H4_K8192_N4096_M1", (9, 0.85), (9, 0.8499)),
            ("lowrank_projection/int8_ternary/H1_K8192_N8192_M1", (7.99, 0.1), (8, 0.1)),
            ("lowrank_projection/int8_binary/H1_K8192_N8192_M1", (5.99, 0.1), (6, 0.1)),
            ("quantize_pack/f32_int8/8192x8192_per_token", (9, 0.9), (9, 0.8999)),
            ("rho_compress/f32_ternary/67108864values", (9, 0.9), (9, 0.8999)),
            ("rho_expand/f32_binary/67108864values", (9, 0.9), (9, 0.8999)),
        ):
            for figures, outcome in ((reached, "reached"), (missed, "**missed**")):
                with self.subTest(name=name, outcome=outcome):
                    goals = self.goals((f"{name}/graph/lowbit", *figures), (f"{name}/eager/lowbit", 1e9, 1e-9))
                    self.assertEqual({name: goal[1] for name, goal in goals.items()}, {name: outcome})

    def test_prefill(self):
        for microseconds, rate, peer, outcome in (
            (900, 1.2e15, 900, "reached"), (900, 1.199e15, 900, "**missed**"), (900, 1.2e15, 899, "**missed**"),
            (900, 1.2e15, None, "not measured"), (900, 1.199e15, None, "**missed**"),
        ):
            with self.subTest(microseconds=microseconds, rate=rate, peer=peer):
                runs = [(f"{PROJECTION}/graph/lowbit", microseconds, 0.2, rate)]
                runs += [(f"{PROJECTION}/graph/cublaslt", peer)] if peer else []
                self.assertEqual(self.goals(*runs)[PROJECTION][1], outcome)

    def test_seeds(self):
        # The floor is the empty node's 2 us and a quarter of the time.
        for microseconds, naive, floor, outcome in (
            (40, 120, EMPTY, "reached"), (40, 119, EMPTY, "**missed**"),
            (4.8, 5, EMPTY, "reached"), (4.9, 5, EMPTY, "**missed**"),
            (4.8, None, EMPTY, "reached"), (4.9, None, EMPTY, "not measured"), (4.8, 5, None, "not measured"),
        ):
            for name in SEEDS:
                with self.subTest(name=name, microseconds=microseconds, naive=naive, floor=floor):
                    runs = [(f"{name}/graph/lowbit", microseconds, 0.25)] + ([floor] if floor else [])
                    runs += [(f"{name}/graph/naive", naive)] if naive else []
                    self.assertEqual(self.goals(*runs)[name][1], outcome)

        rho = "rho_compress/f32_int8/524288values"
        for microseconds, floor, outcome in ((4.8, EMPTY, "reached"), (4.9, EMPTY, "**missed**"), (4.8, None, "not measured")):
            with self.subTest(name=rho, microseconds=microseconds, floor=floor):
                runs = [(f"{rho}/graph/lowbit", microseconds, 0.25)] + ([floor] if floor else [])
                self.assertEqual(self.goals(*runs)[rho][1], outcome)

    def test_a_benchmark_that_failed_misses_its_goal(self):
        name = "lowrank_projection/int8_binary/H1_K8192_N8192_M1"
        entry = {"run_name": f"{name}/graph/lowbit/manual_time", "run_type": "iteration", "error_occurred": True,
                 "error_message": "output 0 | is wrong"}
        (self.folder / "bench.json").write_text(json.dumps({"context": {}, "benchmarks": [entry] * 7}))
        self.run_main("--report-only")
        self.assertIn("| failed: output 0 \\| is wrong | **missed** |", self.report())
        self.assertIn(f"| {name} | failed: output 0", self.report())

    def test_everything_passes(self):
        self.program("lowbit_parity_tests", PASSED)
        self.program("lowbit_cuda_tests", PASSED)
        self.program("compute-sanitizer", PASSED + "========= ERROR SUMMARY: 0 errors\n")
        self.program("lowbit_cuda_bench")
        path = self.programs / "lowbit_cuda_bench"
        whole = json.dumps({"context": {}, "benchmarks": list(entries("copy/bytes/1GiB/graph/copy", 500, 1))})
        path.write_text(f"#!/bin/sh\ncat > \"${{1#--benchmark_out=}}\" <<'END'\n{whole}\nEND\n")
        with mock.patch.dict(os.environ, PATH=f"{self.programs}{os.pathsep}{os.environ['PATH']}"):
            for stage in gpu.STAGES:  # one at a time they end in one report
                code, out = self.run_main(stage)
                self.assertEqual(code, 0, out)
        self.assertEqual(self.report().count(" | passed | "), 8)
        self.assertIn("2 passed, 1 kernels compared", self.report())
        self.assertIn("2 passed, 0 found by the sanitizer", self.report())
        self.assertIn("| copy/bytes/1GiB | kernel | 500.00 |  | 100.0 % |", self.report())
        calls = (self.programs / "lowbit_parity_tests.calls").read_text().split()
        self.assertEqual(calls, ["cuda", "vulkan"])
        calls = (self.programs / "compute-sanitizer.calls").read_text().splitlines()
        self.assertEqual([call.split()[1] for call in calls], ["memcheck", "racecheck", "synccheck", "initcheck"])
        for call in calls:
            self.assertIn("--error-exitcode 99", call)
            self.assertTrue(call.endswith(":*.CallersFloatSettings/* cuda"), call)

    def test_a_failure_is_exit_code_1_and_shows_the_end_of_its_log(self):
        failed = "[  FAILED  ] A.B/cuda (1 ms)\nwhy\n[  PASSED  ] 0 tests.\n[  FAILED  ] 1 test, listed below:\n"
        self.program("lowbit_parity_tests", failed, 1)
        self.program("lowbit_cuda_tests", PASSED)
        code, out = self.run_main("parity")
        self.assertEqual(code, 1)
        self.assertIn("\n  | why\n", out)
        self.assertIn(" | failed: exit code 1 | ", self.report())
        self.assertIn(" | passed | ", self.report())
        self.program("lowbit_parity_tests")  # a program that does nothing proves nothing
        self.assertEqual(self.run_main("parity")[0], 1)
        self.assertEqual((self.folder / "parity_tests.log").read_text(), "")
        self.program("lowbit_cuda_bench")
        self.assertEqual(self.run_main("bench")[0], 1)

    def test_what_could_not_run_is_exit_code_2(self):
        self.program("lowbit_cuda_tests", SKIPPED)
        self.program("lowbit_cuda_bench", "lowbit_cuda_bench: there is no GPU\n", 2)
        (self.folder / "bench.json").write_text("of a run before")
        for check, reason in (("cuda_tests", "no test ran: there is no GPU"), ("bench", "no GPU: lowbit_cuda_bench: there is"),
                              ("parity_tests", f"{self.programs.resolve()}/lowbit_parity_tests is not found")):
            code, out = self.run_main(check)
            self.assertEqual(code, 2, out)
            self.assertIn(f"{check}: not run: {reason}", out)
            self.assertIn(f"| not run: {reason}", self.report())
        with mock.patch("gpu.find", lambda program: None):
            self.assertEqual(self.run_main("sanitizer")[0], 2)
        self.assertEqual(self.report().count("not run: compute-sanitizer is not found"), 4)

    def test_a_stage_that_there_is_not(self):
        with contextlib.redirect_stderr(io.StringIO()) as err, self.assertRaises(SystemExit) as stop:
            gpu.main(["abacus"])
        self.assertEqual(stop.exception.code, 2)
        self.assertIn("abacus", err.getvalue())

    @unittest.skipUnless("LOWBIT_SMOKE_JSON" in os.environ, "LOWBIT_SMOKE_JSON names no file")
    def test_the_smoke_run(self):
        text = Path(os.environ["LOWBIT_SMOKE_JSON"]).read_text()
        (self.folder / "bench.json").write_text(text)
        self.run_main("--report-only")
        for entry in json.loads(text)["benchmarks"]:
            self.assertIn(f"| {entry['run_name'].rsplit('/', 5)[0]} | ", self.report())
        self.assertNotIn("failed", self.report())
        self.assertIn("emulated", self.report())


if __name__ == "__main__":
    unittest.main()
