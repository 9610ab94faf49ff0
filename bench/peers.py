#!/usr/bin/env python3
"""Escribano and its peers on the same frames: seconds a frame, in alternation.

    cmake --preset release && cmake --build --preset release --target stages ceilings llama_server
    python3 bench/peers.py --out results         # the demo model
    python3 bench/peers.py --model M.gguf --projector P.gguf --tokens 64 --count 4 --rounds 3 --out results

All see the same pictures at the size at which the model sees them (so that nobody resizes), are asked the same prompt
and use the same files and threads. Every round runs each configuration once, in a process of its own, beginning with
another one each time; loading the model and one picture to warm up are not counted. Pictures are all different, since a
server may answer what it has seen from its cache.

MLX-VLM and Ollama are measured where their commands are on PATH and the model is a Hugging Face folder. Ollama converts it
into a folder of its own first, and takes a model with the real vocabulary only.

With --tokens every answer has that many tokens, whatever it says: for models with random weights
(bench/random_model.py). Without, answers end where the model ends them, and their texts are compared.

Writes results.md, results.json and results.svg into --out after each round. Needs the ffmpeg command, and Python's
standard library.
"""
import argparse
import dataclasses
import hashlib
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile

import ollama
import peer_report
import work
from gguf_header import read_header
from llama_server import LlamaServer, question

ROOT = pathlib.Path(__file__).resolve().parent.parent
OURS = ["--strategy parallel --batch-size 1", "--strategy parallel --batch-size 4",
        "--strategy parallel --batch-size 16", "--strategy interleaved --batch-size 4"]
WARM_UP_SIDE, WARM_UP_TOKENS = 256, 8  # all weights are read once, and little is computed
PROMPT_TOKENS = 256  # the instruction and the marks around it, generously


def build_setting(build, name):
    """A value of the build folder's CMake cache; None if it has none."""
    cache = build / "CMakeCache.txt"
    found = cache.exists() and re.search(rf"^{name}:[A-Z]+=(.*)$", cache.read_text(), re.MULTILINE)
    return found[1] if found else None


def llama_version():
    return re.search(r"LLAMA_VERSION (\S+)\)", (ROOT / "cmake" / "llama.lock.cmake").read_text())[1]


# ---- frames ----------------------------------------------------------------------------------------------------------

def ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-y", *map(str, arguments)], check=True)


def picture_size(path):
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "stream=width,height",
                          "-of", "csv=p=0", str(path)], check=True, stdout=subprocess.PIPE).stdout
    return tuple(int(side) for side in out.decode().split(",")[:2])


def take_frames(sources, count, shape, max_image_tokens, folder):
    """(`count` different pictures as the model sees them, as PNG; a small one to warm up with; their size)"""
    if not sources:
        ffmpeg("-i", ROOT / "assets" / "samples" / "session-a.mp4", "-vf", "fps=1", folder / "raw-%04d.png")
        sources = sorted(folder.glob("raw-*.png"))
    width, height = work.model_image_size(*picture_size(sources[0]), shape, max_image_tokens)
    kept, seen = [], set()
    step = max(1, len(sources) // (4 * count))
    for number, source in enumerate(sources[::step]):
        path = folder / f"frame-{number:04d}.png"
        ffmpeg("-i", source, "-vf", f"scale={width}:{height}:flags=bicubic", "-frames:v", "1", path)
        digest = hashlib.sha256(path.read_bytes()).digest()
        if digest not in seen:
            seen.add(digest)
            kept.append(path)
    if len(kept) < count:
        sys.exit(f"peers.py: {count} different pictures are needed, and there are {len(kept)}")
    warm_up = folder / "warm-up.png"
    ffmpeg("-i", sources[-1], "-vf", f"scale={WARM_UP_SIDE}:{WARM_UP_SIDE}", "-frames:v", "1", warm_up)
    return [kept[i * len(kept) // count] for i in range(count)], warm_up, (width, height)


# ---- configurations --------------------------------------------------------------------------------------------------
# Each has a name, whether it is ours, and run(), which measures once:
#   seconds, texts, tokens_in, tokens_out (of all frames), cached_tokens, short (answers with fewer tokens than asked
#   for), prompts, peak_memory_mb, and where known stages (seconds by name) and steps (of decoding).

class Ours:
    ours = True

    def __init__(self, arguments, options):
        self.name = "ours, " + re.sub(r"--strategy (\w+) --batch-size (\d+)", r"\1 \2", options).strip()
        self.comparable = "interleaved" not in options  # its frames share a prompt, and the prompt is another
        self._arguments, self._options = arguments, options.split()

    def run(self, frames, warm_up):
        arguments = self._arguments
        command = [arguments.build / "bin" / "stages", "--json", "--model", arguments.model, "--threads",
                   arguments.threads, "--frames", len(frames), "--warm-up", warm_up, *self._options]
        if arguments.projector:
            command += ["--mmproj", arguments.projector]
        if arguments.max_image_tokens:
            command += ["--max-image-tokens", arguments.max_image_tokens]
        command += ["--max-tokens", arguments.tokens or arguments.max_tokens]
        if arguments.tokens:
            command += ["--tokens", arguments.tokens]
        out = subprocess.run([str(part) for part in [*command, *frames]], stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, check=True).stdout
        got = json.loads(out)
        answers = got["answers"]
        return {"seconds": got["wall_s"], "texts": [answer["text"].strip() for answer in answers],
                "tokens_in": got["prompt_tokens"], "tokens_out": got["generation_tokens"], "cached_tokens": 0,
                "short": sum(answer["finish"] != "length" for answer in answers) if arguments.tokens else 0,
                "peak_memory_mb": got["peak_memory_mb"], "prompts": got["prompts"], "steps": got["decode_steps"],
                "stages": {stage: got[stage + "_s"] for stage in ("vision", "prefill", "decode")}}


class Server:
    ours = False
    comparable = True

    def __init__(self, arguments, prompt, image_tokens, slots):
        self.name = f"llama-server, {slots} in flight"
        self._arguments, self._prompt, self._slots = arguments, prompt, slots
        tokens = image_tokens + PROMPT_TOKENS + (arguments.tokens or arguments.max_tokens)
        self._context_tokens = -(-tokens // 256) * 256

    def run(self, frames, warm_up):
        arguments = self._arguments
        model, projector = arguments.files
        most = arguments.tokens or arguments.max_tokens
        bodies = [question(frame, self._prompt, most, bool(arguments.tokens)) for frame in frames]
        with LlamaServer(arguments.llama_server, model, projector, self._slots, self._context_tokens, arguments.threads,
                         arguments.server_options.split()) as server:
            server.answer([question(warm_up, self._prompt, WARM_UP_TOKENS, True)])
            seconds, answers = server.answer(bodies)
            peak_memory_mb = server.peak_memory_mb()
        tokens = [answer["usage"]["completion_tokens"] for answer in answers]
        measured = {"seconds": seconds,
                    "texts": [answer["choices"][0]["message"]["content"].strip() for answer in answers],
                    "tokens_in": sum(answer["usage"]["prompt_tokens"] for answer in answers), "tokens_out": sum(tokens),
                    "cached_tokens": sum(answer["timings"]["cache_n"] for answer in answers),
                    "short": sum(count < arguments.tokens for count in tokens), "peak_memory_mb": peak_memory_mb,
                    "prompts": len(answers)}
        if self._slots == 1:  # else the times of the requests overlap
            measured["stages"] = {"vision + prefill": sum(answer["timings"]["prompt_ms"] for answer in answers) / 1e3,
                                  "decode": sum(answer["timings"]["predicted_ms"] for answer in answers) / 1e3}
            measured["steps"] = sum(work.decoded_tokens(count) for count in tokens)
        return measured


class MlxVlm:
    """One frame at a time, with the weights as they are in the folder (bf16)."""
    name, ours, comparable = "MLX-VLM", False, True

    def __init__(self, arguments, prompt, python):
        self._arguments, self._prompt, self._python = arguments, prompt, python

    @staticmethod
    def python():
        """The interpreter that has it, beside its command; None if it is not on PATH."""
        command = shutil.which("mlx_vlm.generate")
        return command and pathlib.Path(command).parent / "python3"

    def run(self, frames, warm_up):
        arguments = self._arguments
        job = {"model": str(hf_folder(arguments)), "prompt": self._prompt, "frames": [str(frame) for frame in frames],
               "max_tokens": arguments.tokens or arguments.max_tokens, "warm_up": str(warm_up),
               "warm_up_tokens": WARM_UP_TOKENS}
        out = subprocess.run([str(self._python), "-B", str(ROOT / "bench" / "mlx_vlm_frames.py")],
                             input=json.dumps(job).encode(), stdout=subprocess.PIPE, check=True).stdout
        measured = json.loads(out)
        return measured if arguments.tokens else {**measured, "short": 0}


class Ollama:
    """With its own engine, and the weights as they are in the folder."""
    ours, comparable = False, True

    def __init__(self, arguments, prompt, image_tokens, slots, models):
        self.name = f"Ollama, {slots} in flight"
        self._arguments, self._prompt, self._slots, self._models = arguments, prompt, slots, models
        self._context_tokens = image_tokens + PROMPT_TOKENS + (arguments.tokens or arguments.max_tokens)

    def run(self, frames, warm_up):
        arguments = self._arguments
        most = arguments.tokens or arguments.max_tokens

        def body(frame, tokens):
            return ollama.question(frame, self._prompt, tokens, arguments.threads)

        with ollama.OllamaServer(shutil.which("ollama"), self._models, self._slots, self._context_tokens) as server:
            server.create(hf_folder(arguments))
            server.answer([body(warm_up, WARM_UP_TOKENS)])
            seconds, answers = server.answer([body(frame, most) for frame in frames])
            peak_memory_mb = server.peak_memory_mb()
        tokens = [answer["eval_count"] for answer in answers]
        measured = {"seconds": seconds, "texts": [answer["response"].strip() for answer in answers],
                    "tokens_in": sum(answer["prompt_eval_count"] for answer in answers), "tokens_out": sum(tokens),
                    "cached_tokens": 0, "short": sum(count < arguments.tokens for count in tokens),
                    "peak_memory_mb": peak_memory_mb, "prompts": len(answers)}
        if self._slots == 1:  # else the times of the requests overlap
            measured["stages"] = {"vision + prefill": sum(answer["prompt_eval_duration"] for answer in answers) / 1e9,
                                  "decode": sum(answer["eval_duration"] for answer in answers) / 1e9}
            measured["steps"] = sum(work.decoded_tokens(count) for count in tokens)
        return measured


def hf_folder(arguments):
    """The model as a Hugging Face folder, which is what MLX-VLM and Ollama read; None if it is not given as one."""
    folder = ROOT / "assets" / "demo-model" if arguments.model == "demo" else pathlib.Path(arguments.model)
    return folder if (folder / "config.json").exists() else None


def configurations(arguments, image_tokens, ollama_models):
    """(those to measure, [(name, why not)]); Ollama keeps what it converts in `ollama_models`."""
    prompt = (ROOT / "assets" / "prompts" / "single.txt").read_text().rstrip("\n")
    found, missing = [Ours(arguments, options) for options in arguments.ours or OURS], []
    if arguments.llama_server and os.path.exists(arguments.llama_server):
        found += [Server(arguments, prompt, image_tokens, slots) for slots in arguments.in_flight]
    else:
        missing.append(("llama-server", "not built (target llama_server)"))
    if not MlxVlm.python():
        missing.append((MlxVlm.name, "not installed"))
    elif not hf_folder(arguments):
        missing.append((MlxVlm.name, "needs the model as a Hugging Face folder"))
    else:
        found.append(MlxVlm(arguments, prompt, MlxVlm.python()))
    if not shutil.which("ollama"):
        missing.append(("Ollama", "not installed"))
    elif not ollama.can_convert(hf_folder(arguments)):
        missing.append(("Ollama", "needs the model as a Hugging Face folder with the real vocabulary"))
    else:
        found += [Ollama(arguments, prompt, image_tokens, slots, ollama_models) for slots in arguments.in_flight]
    return found, missing


# ---- measuring -------------------------------------------------------------------------------------------------------

def model_files(arguments):
    """(model, projector) as GGUF, of whatever --model says: `stages` imports a folder, and says where the pair is."""
    out = subprocess.run([str(arguments.build / "bin" / "stages"), "--files", "--model", arguments.model,
                          *(["--mmproj", arguments.projector] if arguments.projector else [])],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True).stdout
    files = json.loads(out)
    return files["model"], files["projector"]


def model_name(arguments):
    return read_header(arguments.files[0])[0].get("general.name", pathlib.Path(arguments.model).name)


def measure_ceilings(arguments, best):
    out = subprocess.run([str(arguments.build / "bin" / "ceilings"), "--json", "--threads", str(arguments.threads)],
                         stdout=subprocess.PIPE, check=True).stdout
    for key, value in json.loads(out)[-1].items():  # the last row is that of all threads
        best[key] = max(value, best.get(key, 0))


def measure_round(number, found, frames, warm_up, runs):
    """Adds a run of each configuration to `runs`, lists by name."""
    first = number % len(found)
    for configuration in found[first:] + found[:first]:
        run = configuration.run(frames, warm_up)
        runs[configuration.name].append(run)
        print(f"round {number + 1}: {configuration.name}: {run['seconds'] / len(frames):.3f} s a frame",
              file=sys.stderr, flush=True)


def equal_texts(found, runs):
    """{name: (how many texts are those of the first comparable one of ours, of how many)}"""
    comparable = [configuration for configuration in found if configuration.comparable]
    if not comparable:
        return {}
    reference = runs[comparable[0].name][0]["texts"]
    return {configuration.name: (min(sum(a == b for a, b in zip(run["texts"], reference))
                                     for run in runs[configuration.name]), len(reference))
            for configuration in comparable}


def summary_of(configuration, runs, frames, reference, equal):
    each = [run["seconds"] / frames for run in runs]
    middle = runs[each.index(statistics.median_low(each))]
    return {"name": configuration.name, "ours": configuration.ours, "median": statistics.median(each), "low": min(each),
            "high": max(each), "equal_texts": equal.get(configuration.name),
            "ratio": statistics.median(run["seconds"] / other["seconds"] for run, other in zip(runs, reference)),
            **{key: middle.get(key) for key in ("tokens_in", "tokens_out", "cached_tokens", "peak_memory_mb", "prompts",
                                                "stages", "steps", "short")}}


def machine():
    cpu = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        name = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
        cpu = name[1] if name else cpu
    return f"{cpu}, {os.cpu_count()} processors, {platform.system()}"


def parsed_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="demo", help="a GGUF file, a folder, or demo")
    parser.add_argument("--projector", help="of a GGUF model, if it is not beside it")
    parser.add_argument("--frames", nargs="*", type=pathlib.Path, default=[], metavar="PATH",
                        help="pictures, or a folder of them (default: frames of assets/samples/session-a.mp4)")
    parser.add_argument("--count", type=int, default=16, help="frames a run (16)")
    parser.add_argument("--tokens", type=int, default=0, help="of every answer; default: until the model ends it")
    parser.add_argument("--max-tokens", type=int, default=500, help="of an answer that the model ends (500)")
    parser.add_argument("--max-image-tokens", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--ours", action="append", metavar="OPTIONS", help="options of bench/stages.cpp that make one "
                        f"configuration; may be repeated (default: {'; '.join(OURS)})")
    parser.add_argument("--in-flight", type=int, nargs="*", default=[1, 4, 16], metavar="N",
                        help="slots of llama-server and Ollama, and requests at once (1 4 16)")
    parser.add_argument("--server-options", default="", help="more options of llama-server")
    parser.add_argument("--llama-server", help="default: that of the build folder")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build" / "release")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for results.md, .json and .svg")
    arguments = parser.parse_args()
    if arguments.count < 1 or arguments.rounds < 1:
        parser.error("at least one frame and one round are needed")
    arguments.llama_server = arguments.llama_server or build_setting(arguments.build, "LLAMA_SERVER_EXECUTABLE")
    arguments.files = model_files(arguments)
    return arguments


def summary(arguments, found, runs):
    """What the rounds so far say of each configuration, and which of ours is the fastest."""
    ours = [configuration.name for configuration in found if configuration.ours]
    best = min(ours, key=lambda name: statistics.median(run["seconds"] for run in runs[name]))
    equal = equal_texts(found, runs)
    return {"rounds": len(runs[best]), "best_of_ours": best, "runs": runs,
            "configurations": [summary_of(configuration, runs[configuration.name], arguments.count, runs[best], equal)
                               for configuration in found]}


def write_results(folder, results, shape):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(peer_report.markdown(results, shape))
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "results.svg").write_text(peer_report.plot(results))


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that servers are ended then, too
    arguments = parsed_arguments()
    shape = work.read_shape(*arguments.files)
    sources = sorted(path for given in arguments.frames
                     for path in (given.iterdir() if given.is_dir() else [given]))
    with tempfile.TemporaryDirectory(prefix="escribano-peers-") as folder:
        frames, warm_up, size = take_frames(sources, arguments.count, shape, arguments.max_image_tokens,
                                            pathlib.Path(folder))
        image_tokens = size[0] * size[1] // (shape.patch_px * shape.merge) ** 2
        found, missing = configurations(arguments, image_tokens, pathlib.Path(folder) / "ollama")
        results = {"machine": machine(), "model": model_name(arguments), "threads": arguments.threads,
                   "llama_cpp": llama_version(), "frames": arguments.count, "frame_size": size,
                   "image_tokens": image_tokens, "tokens": arguments.tokens, "ceilings": {}, "missing": missing,
                   "shape": dataclasses.asdict(shape)}
        runs = {configuration.name: [] for configuration in found}
        for number in range(arguments.rounds):
            measure_ceilings(arguments, results["ceilings"])
            measure_round(number, found, frames, warm_up, runs)
            results.update(summary(arguments, found, runs))
            write_results(arguments.out, results, shape)  # now already: rounds can take hours
    print(peer_report.markdown(results, shape))
    failed = [row["name"] for row in results["configurations"]
              if row["ours"] and row["equal_texts"] and row["equal_texts"][0] < row["equal_texts"][1]]
    if failed:
        sys.exit(f"peers.py: other texts than alone: {', '.join(failed)}")


if __name__ == "__main__":
    main()
