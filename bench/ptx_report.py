#!/usr/bin/env python3
"""What the compiler made of the CUDA kernels: bench/ptx_report.py [architecture], 90a if none is named.

Needs nvcc and c++filt, no GPU. Compiles every cuda/*.cu and rewrites the table of docs/cuda_kernels.md between its two
marks; what stands outside of them is written by hand.
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs/cuda_kernels.md"
BEGIN, END = "<!-- begin bench/ptx_report.py -->\n", "<!-- end bench/ptx_report.py -->\n"
INCLUDES = ["host/include", "host"]

# Of a quarter of a multiprocessor of sm_80, sm_90 or sm_100: registers, of which a warp takes multiples, and warps.
QUARTER_REGISTERS, REGISTER_UNIT, QUARTER_WARPS = 16384, 256, 16

# Instructions that are counted by their names; loads and stores of global memory are counted by their size.
COUNTED = {
    "async 16": r"cp\.async\.c[ag]\.shared\.global[\w.:]* \[[^]]*\], \[[^]]*\], 16\b",
    "bulk": r"cp\.async\.bulk\.(?:tensor|shared|global)",
    "mma": r"mma\.sync\.aligned\.m16n8k32\.",
    "wgmma": r"wgmma\.mma_async\.",
    "dp4a": r"dp4a\.",
    "atom": r"(?:atom|red)\.(?!shared|async)",
}
ACCESSES = ["ld 16", "ld", "st 16", "generic"]
COLUMNS = ["regs", "blocks", "spill", "smem", *ACCESSES, *COUNTED]


def cmake_flags():
    text = re.sub(r"#.*", "", (ROOT / "cmake/cuda_flags.cmake").read_text())
    value = lambda name: re.search(rf"set\({name}\s+([^)]*)\)", text)[1].split()
    return value("CMAKE_CUDA20_STANDARD_COMPILE_OPTION") + value("LOWBIT_CUDA_FLAGS")


def compile_kernels(nvcc, source, architecture, folder):
    """The PTX, and what ptxas says."""
    command = [nvcc, *cmake_flags(), *(f"-I{ROOT / path}" for path in INCLUDES), f"-arch=sm_{architecture}"]
    command += ["-cubin", "-Xptxas", "-v", "--keep", "--keep-dir", folder, "-o", f"{folder}/cubin", source]
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{source.relative_to(ROOT)} does not compile:\n{done.stdout}{done.stderr}")
    for line in done.stderr.splitlines():
        if re.search("warning|Performance Loss", line):
            print(line, file=sys.stderr)
    return Path(folder, source.stem + ".ptx").read_text(), done.stderr


def demangle(names):
    done = subprocess.run(["c++filt"], input="\n".join(names), check=True, capture_output=True, text=True)
    return dict(zip(names, done.stdout.splitlines()))


def template_parameters():
    """{kernel: [(type, name)]} of the kernels that are templates."""
    found = {}
    for path in [*ROOT.glob("cuda/*.cu"), *ROOT.glob("cuda/*.h")]:
        for parameters, rest in re.findall(r"template <([^<>]*)>\s*__global__ void([^{]*)", path.read_text()):
            name = re.sub(r"__launch_bounds__(\((?:[^()]|\([^()]*\))*\))", "", rest).split("(")[0].strip()
            found[name] = [tuple(parameter.split()) for parameter in parameters.split(",")]
    return found


def formats():
    header = (ROOT / "host/include/lowbit/lowbit.h").read_text()
    values = re.search(r"enum lowbit_format [^{]*\{(.*?)\}", header, re.S)[1]
    return {value: name.lower() for name, value in re.findall(r"LOWBIT_(\w+) = (\d+)", values)}


def short_name(demangled, parameters, formats):
    """decode_dp4a<int8, signed, rows 1> of void lowbit::...::decode_dp4a<(lowbit_format)0, true, 1>(...)."""
    plain = re.sub(r"\(anonymous namespace\)::|\(\w+\)(?=\d)", "", demangled)
    name, arguments = re.search(r"(\w+)(?:<([^<>]*)>)?\(", plain).groups()
    words = []
    for (kind, parameter), argument in zip(parameters.get(name, []), (arguments or "").split(", ")):
        label = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", parameter.removeprefix("k")).lower()
        if kind == "lowbit_format":
            words.append(formats[argument])
        elif kind == "bool":
            words.append(label if argument == "true" else f"not {label}")
        else:
            words.append(f"{label} {argument}")
    return f"{name}<{', '.join(words)}>" if words else name


def count(ptx):
    """Its accesses to memory, and the instructions of COUNTED."""
    code = re.sub(r"//.*", "", ptx)
    counts = {column: len(re.findall(rf"(?<![\w.]){pattern}", code)) for column, pattern in COUNTED.items()}
    counts |= dict.fromkeys([*ACCESSES, "st"], 0)
    for name, how in re.findall(r"(?<![\w.])(ld|st)((?:\.[\w:]+)+)\s", code):
        words, bits = re.search(r"(?:\.v(\d))?\.[a-z](\d+)$", how).groups()
        if ".global" in how:
            counts[f"{name} 16" if int(words or 1) * int(bits) >= 128 else name] += 1
        elif not re.search(r"\.(param|shared|local|const)", how):
            counts["generic"] += 1
    return counts


def resources(said):
    """Of ptxas's words on one kernel."""
    number = lambda pattern: sum(int(n) for n in re.findall(pattern, said))
    spills = number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads")
    return {
        "regs": number(r"Used (\d+) registers"),
        "spill": max(spills, number(r"(\d+) bytes stack frame")),
        "smem": number(r"(\d+) bytes smem"),
    }


def blocks_of(registers, threads):
    """That live on a multiprocessor as far as registers and warps go."""
    a_warp = -(-32 * registers // REGISTER_UNIT) * REGISTER_UNIT
    return 4 * min(QUARTER_REGISTERS // a_warp, QUARTER_WARPS) // (threads // 32)


def rows_of(ptx, said, parameters, formats):
    kernels = [text for text in re.split(r"(?=\.entry )|(?=\.func )", ptx) if text.startswith(".entry")]
    kernels = {re.match(r"\.entry (\w+)", text)[1]: text for text in kernels}
    names = demangle(list(kernels))
    rows = []
    for name, text in kernels.items():
        about = re.search(rf"Compiling entry function '{name}'(.*?)(Compiling entry|\Z)", said, re.S)[1]
        row = resources(about) | count(text)
        row["blocks"] = blocks_of(row["regs"], int(re.search(r"\.maxntid (\d+)", text)[1]))
        rows.append((short_name(names[name], parameters, formats), row))
    return sorted(rows, key=lambda row: [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", row[0])])


def table(nvcc, architecture):
    version = re.search(r"release [^,]*", subprocess.run([nvcc, "--version"], capture_output=True, text=True).stdout)[0]
    parameters, of_formats = template_parameters(), formats()
    lines = [f"For sm_{architecture}, by nvcc {version}.", ""]
    lines += [f"| kernel | {' | '.join(COLUMNS)} |", f"| --- |{' ---: |' * len(COLUMNS)}"]
    for source in sorted(ROOT.glob("cuda/*.cu")):
        print(source.relative_to(ROOT), file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            rows = rows_of(*compile_kernels(nvcc, source, architecture, folder), parameters, of_formats)
        lines.append(f"| **{source.name}** |{' |' * len(COLUMNS)}")
        lines += [f"| `{name}` | {' | '.join(str(row[column] or '') for column in COLUMNS)} |" for name, row in rows]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    nvcc = shutil.which("nvcc", path=os.environ["PATH"] + ":/usr/local/cuda/bin")
    if nvcc is None or len(sys.argv) > 2:
        sys.exit(__doc__ if nvcc else "ptx_report.py: no nvcc on PATH nor in /usr/local/cuda/bin")
    before, rest = DOCUMENT.read_text().split(BEGIN)
    after = rest.split(END)[1]
    new = table(nvcc, sys.argv[1] if len(sys.argv) > 1 else "90a")
    DOCUMENT.write_text(before + BEGIN + "\n" + new + "\n" + END + after)
    print(f"wrote {DOCUMENT.relative_to(ROOT)}")
