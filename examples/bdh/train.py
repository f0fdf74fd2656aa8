#!/usr/bin/env python3
"""Train a Dragon Hatchling (BDH) on the bytes of any text and write a model file for the runner beside this script.

The model learns to predict every byte of a window from the bytes before it. Its figure is nats per byte: 5.55, ln 256,
is guessing, 2.5 knows which letters follow which, 1.4 writes passable Shakespeare. 'train' is of the text being learnt,
with dropout; 'held out' is of text the model does not learn from, without. When held out rises while train falls, the
model learns the text by heart: give it more text, fewer steps or a smaller --embd.
"""

import argparse
import json
import math
import os
import signal
import struct
import sys
import time
from pathlib import Path

try:
    import torch
    import torch.nn.functional as F
except ImportError as error:
    sys.exit(f"train.py: {error}; PyTorch 1.13 or later is needed: pip install torch")

VOCAB = 256         # one token per byte value
ROPE_BASE = 65536   # the slowest pair of neurons turns once in nearly 2 pi * 65536 bytes
DROPOUT = 0.1       # share of the gated neurons silenced at random in training
WEIGHT_DECAY = 0.1
GRADIENT_NORM = 1.0
WARM_UP = 100       # steps, or a tenth of a shorter run
LAST_RATE = 0.1     # where the cosine ends, as a share of --lr


def layer_norm(x):
    """Zero mean and unit population variance over the last axis, eps 1e-5, no weights of its own."""
    return F.layer_norm(x, x.shape[-1:])


class Hatchling(torch.nn.Module):
    """Byte-level BDH: D = embd, H = heads, N = embd * multiplier / heads neurons a head; all layers share the weights.

    A running model keeps a memory rho, [N, D], for every layer and head: a byte recalls a = rope(xs) rho, then adds
    rope(xs)^T x to it. Over a window that is a = scores x, with scores = rope(xs) rope(xs)^T strictly below the
    diagonal, since a byte recalls only what earlier ones wrote. Training uses this form: all bytes of a window at once.
    """

    def __init__(self, layers, embd, heads, multiplier, window):
        super().__init__()
        neurons = embd * multiplier // heads
        self.layers = layers
        self.config = dict(architecture="bdh", n_layer=layers, n_embd=embd, n_head=heads,
                           mlp_internal_dim_multiplier=multiplier, vocab_size=VOCAB)

        self.embed = torch.nn.Embedding(VOCAB, embd)
        self.encoder = torch.nn.Parameter(torch.empty(heads, embd, neurons))
        self.encoder_v = torch.nn.Parameter(torch.empty(heads, embd, neurons))
        self.decoder = torch.nn.Parameter(torch.empty(heads * neurons, embd))
        self.lm_head = torch.nn.Parameter(torch.empty(embd, VOCAB))
        for weight in self.parameters():
            torch.nn.init.normal_(weight, std=0.02)

        # Neurons 2j and 2j+1 turn together, by frequency[j] turns (an f32) for every byte since the window's start.
        j = torch.arange(neurons // 2, dtype=torch.float64)
        frequency = (ROPE_BASE ** (-2 * j / neurons) / (2 * math.pi)).float()
        phase = torch.outer(torch.arange(window).double(), frequency.double()).frac() * (2 * math.pi)
        self.register_buffer("cos", phase.cos().float(), persistent=False)  # [window, N/2]
        self.register_buffer("sin", phase.sin().float(), persistent=False)  # [window, N/2]

    def rope(self, v):  # [B, H, T, N] -> the same
        cos, sin = self.cos[:v.shape[-2]], self.sin[:v.shape[-2]]
        even, odd = v[..., 0::2], v[..., 1::2]
        return torch.stack((even * cos - odd * sin, odd * cos + even * sin), dim=-1).flatten(-2)

    def forward(self, tokens):  # [B, T] with T <= window -> logits [B, T, 256]
        x = layer_norm(self.embed(tokens)).unsqueeze(1)               # [B, 1, T, D]
        for _ in range(self.layers):
            xs = F.relu(x @ self.encoder)                             # [B, H, T, N]
            q = self.rope(xs)                                         # [B, H, T, N]
            a = (q @ q.mT).tril(-1) @ x                               # [B, H, T, D]
            ys = F.relu(layer_norm(a) @ self.encoder_v)               # [B, H, T, N]
            gated = F.dropout(xs * ys, DROPOUT, self.training)        # [B, H, T, N]
            update = gated.transpose(1, 2).flatten(2) @ self.decoder  # [B, T, D], of all heads side by side
            x = layer_norm(x + layer_norm(update).unsqueeze(1))
        return x.squeeze(1) @ self.lm_head


def nats_per_byte(model, windows):
    """Mean cross entropy of all bytes but the first of each window, [B, T]."""
    windows = windows.to(model.lm_head.device, torch.long)
    return F.cross_entropy(model(windows[:, :-1]).flatten(0, 1), windows[:, 1:].flatten())


@torch.no_grad()
def evaluate(model, text, window, batch):
    """Nats per byte over a text's whole windows, laid end to end; what is left over is not counted."""
    model.eval()
    windows = text[:len(text) // window * window].view(-1, window)
    total = sum(nats_per_byte(model, part).item() * len(part) for part in windows.split(batch))
    model.train()
    return total / len(windows)


def partial_path(path):
    return Path(f"{path}.partial")  # in the same folder, where a rename is atomic


def save(model, path):
    """Write a safetensors file (u64 header size, JSON header, f32 data, all little-endian), whole or not at all."""
    tensors = dict(sorted(model.state_dict().items()))
    header, end = {"__metadata__": {key: str(value) for key, value in model.config.items()}}, 0
    for name, tensor in tensors.items():
        begin, end = end, end + 4 * tensor.numel()
        header[name] = dict(dtype="F32", shape=list(tensor.shape), data_offsets=[begin, end])
    header = json.dumps(header).encode()
    header += b" " * (-len(header) % 8)  # keeps the data aligned

    partial = partial_path(path)
    try:
        with open(partial, "wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            for tensor in tensors.values():
                for part in tensor.cpu().flatten().split(65536):
                    file.write(struct.pack(f"<{len(part)}f", *part.tolist()))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def learning_rate(step, steps):
    """The share of --lr at a step: a straight warm-up, then half a cosine down to LAST_RATE."""
    warm_up = min(WARM_UP, steps // 10)
    if step < warm_up:
        return (step + 1) / warm_up
    return LAST_RATE + (1 - LAST_RATE) * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2


def train(model, text, held_out, args):
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(step, args.steps))
    losses, clock = [], time.perf_counter()
    for step in range(1, args.steps + 1):
        starts = torch.randint(len(text) - args.window + 1, (args.batch, 1))
        loss = nats_per_byte(model, text[starts + torch.arange(args.window)])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())

        evaluating = step % args.eval_every == 0 or step == args.steps
        if evaluating or step % max(1, args.eval_every // 10) == 0:
            mean = torch.stack(losses).mean().item()  # waits for the device, so the clock is read after it
            speed = len(losses) * args.batch * args.window / (time.perf_counter() - clock)
            print(f"step {step}/{args.steps}  train {mean:.4f} nats/byte  {speed:.0f} tokens/s", flush=True)
            if not math.isfinite(mean):
                raise ArithmeticError(f"the loss is {mean} at step {step}; try an --lr below {args.lr:g}")
            if evaluating:
                figure = evaluate(model, held_out, args.window, args.batch)
                save(model, args.output)
                print(f"step {step}/{args.steps}  held out {figure:.4f} nats/byte  saved {args.output}", flush=True)
            losses, clock = [], time.perf_counter()


class Parser(argparse.ArgumentParser):
    def error(self, message):  # one line, without the usage before it
        self.exit(2, f"{self.prog}: {message}\n")


def number(kind, least, most):
    """An argparse type: least <= value <= most, which also refuses nan."""
    def parse(word):
        try:
            value = kind(word)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            name = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"'{word}' is not {name} from {least} to {most}")
        return value
    return parse


def parse_arguments():
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, epilog="""\
The model has 3 * EMBD^2 * MULTIPLIER + 512 * EMBD weights of 4 bytes: 0.85 million as set. The time for a byte grows
with LAYERS * EMBD * MULTIPLIER * (3 * EMBD + WINDOW), most memory with LAYERS * EMBD * MULTIPLIER * WINDOW * BATCH.
As set, a step is 4096 bytes and a run 12 million: for a GPU, or a night of a CPU. Debian's PyTorch multiplies matrices
many times faster on a CPU once libopenblas0 is installed.

a first try, a minute or two on a CPU, to about 2.1 nats per byte:
  train.py --text book.txt --output book.safetensors --embd 64 --layers 2 --window 128 --steps 500
a text of its own to judge by, and a file kept more often:
  train.py --text train.txt --eval-text val.txt --output model.safetensors --eval-every 100""")
    add, size, count = parser.add_argument, number(int, 1, 2**16), number(int, 1, 2**31)
    add("--text", required=True, metavar="FILE", help="what to learn: any bytes, a megabyte is a good start")
    add("--output", required=True, metavar="FILE", help="the safetensors file, replaced whole after every evaluation")
    add("--eval-text", metavar="FILE", help="what to judge by (the last tenth of --text, which is then not learnt)")
    add("--eval-bytes", type=count, default=32768, metavar="N",
        help="how much of it to use, from a window on (%(default)s)")
    add("--eval-every", type=count, default=250, metavar="N", help="steps between evaluations (%(default)s)")
    add("--layers", type=size, default=4, help="times a byte passes through the weights (%(default)s)")
    add("--embd", type=size, default=128, help="width of a byte's state (%(default)s)")
    add("--heads", type=size, default=4, help="parts that the neurons are divided into (%(default)s)")
    add("--multiplier", type=size, default=16, help="neurons of all heads for each unit of --embd (%(default)s)")
    add("--window", type=number(int, 2, 2**16), default=512,
        help="bytes seen at once; a byte recalls nothing from before its window (%(default)s)")
    add("--batch", type=size, default=8, help="windows learnt from in a step (%(default)s)")
    add("--steps", type=count, default=3000, help="changes to the weights (%(default)s)")
    add("--lr", type=number(float, 1e-9, 10), default=1e-3,
        help="learning rate after the warm-up, then down a cosine to a tenth; a small model bears more (%(default)s)")
    add("--seed", type=number(int, 0, 2**63 - 1), default=1, help="for the first weights and the windows (%(default)s)")
    add("--device", default="auto", help="cpu, cuda, cuda:1, mps, or auto for the fastest of them (%(default)s)")
    return parser, parser.parse_args()


def check_arguments(parser, args):
    """Refuse before the training what cannot be built, or could not or should not be written after it."""
    neurons, rest = divmod(args.embd * args.multiplier, args.heads)
    if rest:
        parser.error(f"--heads {args.heads} does not divide --embd * --multiplier = {args.embd * args.multiplier}")
    if neurons % 2:
        parser.error(f"--heads {args.heads} leaves {neurons} neurons a head; rope turns pairs, so it must be even")
    output = Path(args.output)
    try:
        if output.exists() and not output.is_file():
            parser.error(f"--output {output}: is there already and not a file")
        if output.exists() and any(output.samefile(text) for text in (args.text, args.eval_text) if text):
            parser.error(f"--output {output}: is the text itself")
        partial_path(output).touch()
        partial_path(output).unlink()
    except OSError as error:
        parser.error(f"--output {output}: cannot be written: {error.strerror}")


def read_texts(parser, args):
    """The text to learn from and the one to judge by: uint8, each at least a window."""
    def read(option, path):
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            parser.error(f"{option} {path}: {error.strerror}")
        if len(data) < args.window:
            parser.error(f"{option} {path}: has {len(data)} bytes, fewer than a --window of {args.window}")
        return torch.frombuffer(bytearray(data), dtype=torch.uint8)

    text = read("--text", args.text)
    if args.eval_text:
        held_out = read("--eval-text", args.eval_text)
    else:
        tail = max(args.window, len(text) // 10)
        if len(text) - tail < args.window:
            parser.error(f"--text {args.text}: has {len(text)} bytes, fewer than two windows of {args.window}, "
                         "one to learn from and one to judge by; lower --window or give an --eval-text")
        text, held_out = text[:-tail], text[-tail:]
    return text, held_out[:max(args.window, args.eval_bytes)]


def pick_device(parser, name):
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        parser.error(f"--device {name}: {str(error).splitlines()[0]}")


def main():
    parser, args = parse_arguments()
    text, held_out = read_texts(parser, args)
    check_arguments(parser, args)
    device = pick_device(parser, args.device)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a polite kill ends like Ctrl-C
    torch.manual_seed(args.seed)
    try:
        model = Hatchling(args.layers, args.embd, args.heads, args.multiplier, args.window).to(device)
        weights = sum(weight.numel() for weight in model.parameters())
        print(f"{weights} weights on {device}; {len(text)} bytes to learn from, {len(held_out)} held out", flush=True)
        train(model, text, held_out, args)
    except KeyboardInterrupt:
        parser.exit(130, f"{parser.prog}: interrupted; {args.output} is as the last evaluation left it\n")
    except (ArithmeticError, OSError) as error:
        parser.exit(1, f"{parser.prog}: {error}\n")
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        parser.exit(1, f"{parser.prog}: out of memory; lower --batch, --window or --embd\n")


if __name__ == "__main__":
    main()
