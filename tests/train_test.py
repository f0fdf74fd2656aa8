#!/usr/bin/env python3
"""examples/bdh/train.py: its model is the recurrence, it learns, its file is whole or absent, its errors are one line.

Exits 77, which CTest takes for a skip, where PyTorch is not installed.
"""

import contextlib
import io
import json
import math
import random
import re
import signal
import struct
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

try:
    import torch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

SCRIPT = Path(__file__).resolve().parents[1] / "examples" / "bdh" / "train.py"
sys.dont_write_bytecode = True
sys.path.insert(0, str(SCRIPT.parent))
import train  # noqa: E402

TINY = "--layers 2 --embd 32 --heads 2 --multiplier 8 --window 48 --batch 8 --device cpu".split()


def read_model(path):
    """(metadata, tensors) of a safetensors file, whose layout is checked byte for byte on the way."""
    raw = Path(path).read_bytes()
    size, = struct.unpack_from("<Q", raw)
    header, data = json.loads(raw[8:8 + size]), raw[8 + size:]
    metadata, tensors, end = header.pop("__metadata__"), {}, 0
    for name, entry in header.items():
        begin, stop = entry["data_offsets"]
        assert entry["dtype"] == "F32" and begin == end and stop - begin == 4 * math.prod(entry["shape"])
        values = struct.unpack_from(f"<{(stop - begin) // 4}f", data, begin)
        tensors[name], end = torch.tensor(values, dtype=torch.float64).view(entry["shape"]), stop
    assert end == len(data) and size % 8 == 0
    return metadata, tensors


def recurrence(metadata, tensors, tokens):
    """The definition, one token at a time in float64: logits [T, 256]."""
    layers, heads = int(metadata["n_layer"]), int(metadata["n_head"])
    encoder, encoder_v, decoder = tensors["encoder"], tensors["encoder_v"], tensors["decoder"]
    neurons, embd = encoder.shape[2], encoder.shape[1]
    f = [struct.unpack("f", struct.pack("f", 1 / 65536 ** (2 * (i // 2) / neurons) / (2 * math.pi)))[0]
         for i in range(neurons)]

    def norm(v):
        return (v - v.mean()) / (v.var(unbiased=False) + 1e-5).sqrt()

    def rope(v, position):
        turned = v.clone()
        for i in range(0, neurons, 2):
            phase = math.fmod(position * f[i], 1) * 2 * math.pi
            turned[i] = v[i] * math.cos(phase) - v[i + 1] * math.sin(phase)
            turned[i + 1] = v[i + 1] * math.cos(phase) + v[i] * math.sin(phase)
        return turned

    rho, logits = torch.zeros(layers, heads, neurons, embd, dtype=torch.float64), []
    for position, token in enumerate(tokens):
        x = norm(tensors["embed.weight"][token])
        for layer in range(layers):
            gated = []
            for h in range(heads):
                xs = (x @ encoder[h]).relu()
                q = rope(xs, position)
                a = q @ rho[layer, h]
                rho[layer, h] += torch.outer(q, x)
                gated.append(xs * (norm(a) @ encoder_v[h]).relu())
            x = norm(x + norm(torch.cat(gated) @ decoder))
        logits.append(x @ tensors["lm_head"])
    return torch.stack(logits)


class TrainTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.text, self.output = self.folder / "text", self.folder / "model.safetensors"
        words = "the hatchling of a dragon wakes and speaks to nobody".split()
        pick = random.Random(1)
        self.text.write_text(" ".join(pick.choice(words) for _ in range(4000)))

    def arguments(self, *more):
        return [str(SCRIPT), "--text", str(self.text), "--output", str(self.output), *TINY, *map(str, more)]

    def run_main(self, *more):
        """(exit status, standard output, standard error) of a run inside this process."""
        out, err, status = io.StringIO(), io.StringIO(), 0
        terminate = signal.getsignal(signal.SIGTERM)
        with mock.patch.object(sys, "argv", self.arguments(*more)), \
                contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                train.main()
            except SystemExit as stop:
                status = stop.code
            finally:
                signal.signal(signal.SIGTERM, terminate)
        return status, out.getvalue(), err.getvalue()

    def files(self):
        return sorted(path.name for path in self.folder.iterdir())

    def test_learns_and_is_the_recurrence(self):
        status, out, err = self.run_main("--steps", 60, "--eval-every", 10, "--eval-bytes", 2000)
        self.assertEqual((status, err), (0, ""))
        held_out = [float(figure) for figure in re.findall(r"held out ([\d.]+)", out)]
        self.assertEqual(len(held_out), 6)
        self.assertLess(held_out[-1], held_out[0] - 1, out)
        self.assertEqual(self.files(), ["model.safetensors", "text"])

        metadata, tensors = read_model(self.output)
        self.assertEqual(metadata, {"architecture": "bdh", "n_layer": "2", "n_embd": "32", "n_head": "2",
                                    "mlp_internal_dim_multiplier": "8", "vocab_size": "256"})
        self.assertEqual({name: list(tensor.shape) for name, tensor in tensors.items()},
                         {"encoder": [2, 32, 128], "encoder_v": [2, 32, 128], "decoder": [256, 32],
                          "embed.weight": [256, 32], "lm_head": [32, 256]})
        model = train.Hatchling(2, 32, 2, 8, window=48).eval()
        model.load_state_dict(tensors)
        data = self.text.read_bytes()
        windows = torch.tensor(list(data[-(len(data) // 10):][:2000 // 48 * 48])).view(-1, 48)  # 48 is the --window
        with torch.no_grad():
            figure = train.nats_per_byte(model, windows).item()
        self.assertAlmostEqual(figure, held_out[-1], delta=1e-4)

        tokens = windows[0].tolist()
        with torch.no_grad():
            parallel = model(torch.tensor([tokens]))[0].double()
        self.assertLess((parallel - recurrence(metadata, tensors, tokens)).abs().max().item(), 1e-4)

    def test_same_seed_same_file(self):
        files = []
        for seed in (7, 7, 8):
            self.assertEqual(self.run_main("--steps", 3, "--seed", seed)[0], 0)
            files.append(self.output.read_bytes())
        self.assertEqual(files[0], files[1])
        self.assertNotEqual(files[0], files[2])

    def test_failed_write_keeps_the_file_before_it(self):
        for victim in ("struct.pack", "os.fsync", "os.replace"):
            for failure in (OSError(28, "No space left on device"), KeyboardInterrupt()):
                self.output.write_text("the model before")
                real, calls = eval(victim, {"struct": train.struct, "os": train.os}), []

                def fail_late(*arguments):  # struct.pack: in the middle of the tensors
                    calls.append(arguments)
                    if victim == "struct.pack" and len(calls) < 4:
                        return real(*arguments)
                    raise failure

                with self.subTest(victim=victim, failure=failure), mock.patch(victim, fail_late):
                    status, _, err = self.run_main("--steps", 1)
                    self.assertEqual(status, 130 if isinstance(failure, KeyboardInterrupt) else 1)
                    self.assertEqual(err.count("\n"), 1)
                    self.assertEqual(self.output.read_text(), "the model before")
                    self.assertEqual(self.files(), ["model.safetensors", "text"])

    def test_terminated_run_keeps_the_last_evaluation(self):
        command = [sys.executable, *self.arguments("--steps", 10**6, "--eval-every", 5, "--eval-bytes", 96)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while "saved" not in process.stdout.readline():
                self.assertIsNone(process.poll())
            process.send_signal(signal.SIGTERM)
            err = process.communicate()[1]
        self.assertEqual(process.returncode, 130, err)
        self.assertIn("interrupted", err)
        read_model(self.output)
        self.assertEqual(self.files(), ["model.safetensors", "text"])

    def test_a_loss_that_is_not_finite_is_not_saved(self):
        with mock.patch("train.nats_per_byte", lambda model, windows: model.lm_head.sum() * math.nan):
            status, _, err = self.run_main("--steps", 5)
        self.assertEqual((status, err.count("\n"), self.files()), (1, 1, ["text"]))
        self.assertIn("--lr", err)

    def test_bad_input_is_one_line_and_status_2(self):
        short = self.folder / "short"
        short.write_bytes(b"x" * 47)
        for part, more in (
            ("--text", ("--text", self.folder / "absent")),
            ("--text", ("--text", self.folder)),
            ("fewer than a --window", ("--text", short)),
            ("fewer than two windows", ("--text", short, "--window", 30)),
            ("--eval-text", ("--eval-text", self.folder / "absent")),
            ("fewer than a --window", ("--eval-text", short)),
            ("--heads 3 does not divide", ("--heads", 3)),
            ("9 neurons a head", ("--embd", 3, "--multiplier", 3, "--heads", 1)),
            ("--output", ("--output", self.folder)),
            ("--output", ("--output", self.folder / "absent" / "model")),
            ("is the text itself", ("--output", self.text)),
            ("--device", ("--device", "abacus")),
            ("--steps", ("--steps", 0)),
            ("--lr", ("--lr", "nan")),
            ("--window", ("--window", 1)),
            ("--layers", ("--layers", "many")),
        ):
            with self.subTest(part=part, more=more):
                status, out, err = self.run_main(*more)
                self.assertEqual((status, out, err.count("\n")), (2, "", 1), err)
                self.assertIn(part, err)
                self.assertEqual(self.files(), ["short", "text"])


if __name__ == "__main__":
    unittest.main()
