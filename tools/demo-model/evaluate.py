"""Measures the model on scenes with seeds that training never saw.

    python3 evaluate.py FOLDER [--frames 1024] [--out report.json]

FOLDER holds the weights, for instance ../../assets/demo-model.

Answers are generated greedily and compared field by field with the ground
truth: single frames, interleaved prompts with 2 to 6 frames (per position) and
text-only summaries.  A full run takes about a minute on a GPU.
"""

import argparse
import collections
import json
import multiprocessing
import os
import random
import re

import numpy as np
import torch

import bpe
import dialogues
import feed
import places
from model import TinyVLM, load_checkpoint
from scenes import Tick, make_scene, render, truth

LINE = re.compile(r"^description: (?P<description>.+) \| activity: (?P<activity>\S+) \| "
                  r"apps: \[(?P<apps>[^\]]*)\] \| topics: \[(?P<topics>[^\]]*)\]$")


def parse_line(text):
    """The four fields of a line, or None."""
    match = LINE.match(text.strip())
    if not match:
        return None
    return {"description": match["description"], "activity": match["activity"],
            "apps": [a.strip() for a in match["apps"].split(",") if a.strip()],
            "topics": [t.strip() for t in match["topics"].split(",") if t.strip()]}


def parse_batch(text, count):
    """Lines by frame number, or None where a frame is missing or malformed."""
    found = {}
    for line in text.strip().split("\n"):
        match = re.match(r"^Frame (\d+): (.*)$", line)
        if match:
            found[int(match[1])] = parse_line(match[2])
    return [found.get(i) for i in range(1, count + 1)]


def score(expected, answer):
    """Which fields of one answer are right; `expected` is what scenes.truth returns."""
    if answer is None:
        return {key: 0 for key in ("parses", "apps", "project", "title", "activity", "topics", "detail", "line")}
    text = answer["description"]

    def names(value):
        return re.search(r"(?<![\w/#.-])" + re.escape(value) + r"(?![\w-])", text) is not None

    line = answer["description"] == expected["description"] and answer["topics"] == expected["topics"] \
        and answer["apps"] == expected["apps"] and answer["activity"] == expected["activity"]
    return {"parses": 1, "apps": int(answer["apps"] == expected["apps"]),
            "project": int(names(expected["project"])), "title": int(names(expected["title"])),
            "activity": int(answer["activity"] == expected["activity"]),
            "topics": int(answer["topics"] == expected["topics"]),
            "detail": int(not expected["detail"] or names(expected["detail"])), "line": int(line)}


def eval_scene(number):
    return make_scene(random.Random(f"evaluation {number}"))


def eval_frame(job):
    """(image array, truth) of evaluation frame `number`; resized in one of two ways."""
    number, step, way = job
    scene = eval_scene(number)
    image = render(scene, Tick(step, f"{number % 12 + 8:02d}:{number % 60:02d}"))
    array = feed.shrink(image, "bicubic") if way == 0 else feed.shrink(image, "corners", True)
    return array, truth(scene)


def answers(model, tokenizer, requests, device, batch=64, dtype=torch.float32, limit=None):
    """Greedy answers to requests (content, images); similar prompts share a batch."""
    assembler = feed.Assembler(tokenizer)
    prepared = []
    for content, images in requests:
        ids, starts = assembler.prompt(content, None)
        prepared.append((ids, starts, images))
    texts = [None] * len(requests)
    order = sorted(range(len(requests)), key=lambda i: len(prepared[i][0]))
    for at in range(0, len(order), batch):
        chosen = order[at:at + batch]
        width = max(len(prepared[i][0]) for i in chosen)
        ids = np.zeros((len(chosen), width), np.int64)
        positions = np.zeros((3, len(chosen), width), np.int64)
        image_at, images = [], []
        for row, i in enumerate(chosen):
            tokens, starts, pictures = prepared[i]
            ids[row, :len(tokens)] = tokens
            assembler.positions(len(tokens), starts, positions[:, row])
            image_at += [row * width + s for s in starts]
            images += pictures
        lengths = torch.tensor([len(prepared[i][0]) for i in chosen], device=device)
        most = max(1, max(len(prepared[i][2]) for i in chosen))
        room = limit or (72 * most if images else 560)
        frames = places = None
        if images:
            frames = torch.from_numpy(np.stack(images)).to(device).to(dtype) / 127.5 - 1
            places = (torch.tensor(image_at, device=device)[:, None]
                      + torch.arange(feed.TOKENS, device=device)).reshape(-1)
        out = model.generate(torch.from_numpy(ids).to(device), lengths,
                             torch.from_numpy(positions).to(device), frames, places, room, dtype)
        for row, i in enumerate(chosen):
            tokens = out[row].tolist()
            if feed.END in tokens:
                tokens = tokens[:tokens.index(feed.END)]
            texts[i] = tokenizer.decode(tokens)
    return texts


def _eager():
    """Generation has ever new shapes; it must not set off the compiler."""
    if hasattr(torch, "compiler") and hasattr(torch.compiler, "set_stance"):
        return torch.compiler.set_stance("force_eager")
    import contextlib
    return contextlib.nullcontext()


_QUICK = {}


def quick_frames(count):
    if count not in _QUICK:
        _QUICK[count] = [eval_frame((i, i % 7, i % 2)) for i in range(count)]
    return _QUICK[count]


def quick(model, tokenizer, device, count):
    """A small check during training: rates for single frames and for prompts with four."""
    frames = quick_frames(count)
    was_training = model.training
    model.eval()
    dtype = torch.float32
    with _eager():
        texts = answers(model, tokenizer, [(dialogues.single_content(), [a]) for a, _ in frames], device,
                        32, dtype)
        fours = [frames[i:i + 4] for i in range(0, count - 3, 4)]
        stamps = ["0.0", "1.0", "2.0", "3.0"]
        many = answers(model, tokenizer,
                       [(dialogues.batch_content(stamps), [a for a, _ in four]) for four in fours], device,
                       16, dtype)
    model.train(was_training)
    result = {"example": texts[0]}
    totals = collections.Counter()
    for (_, expected), text in zip(frames, texts):
        totals.update(score(expected, parse_line(text)))
    result["single"] = {k: round(v / len(frames), 3) for k, v in totals.items()}
    totals = collections.Counter()
    for four, text in zip(fours, many):
        for (_, expected), answer in zip(four, parse_batch(text, 4)):
            totals.update(score(expected, answer))
    result["four"] = {k: round(v / (4 * len(fours)), 3) for k, v in totals.items()}
    return result


def rates(scores):
    totals = collections.Counter()
    for entry in scores:
        totals.update(entry)
    return {"count": len(scores), **{k: round(v / len(scores), 4) for k, v in totals.items()}}


def draw(count, workers):
    """Evaluation frames: unrelated ones, and runs of four successive frames of a scene."""
    jobs = [(1000 + i, i % 9, i % 2) for i in range(count)]
    near_jobs = [(50000 + i // 4, i % 4, (i // 4) % 2) for i in range(count // 2)]
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        return pool.map(eval_frame, jobs, chunksize=16), pool.map(eval_frame, near_jobs, chunksize=16)


def full(model, tokenizer, device, frames, near):
    """(report, some mistakes) for the frames that `draw` made."""
    count = len(frames)
    report, wrong = {}, []
    texts = answers(model, tokenizer, [(dialogues.single_content(), [a]) for a, _ in frames], device)
    scored = []
    for (_, expected), text in zip(frames, texts):
        scored.append(score(expected, parse_line(text)))
        if not scored[-1]["line"] and len(wrong) < 60:
            wrong.append({"expected": expected["line"], "answer": text})
    report["single"] = rates(scored)
    report["single, bicubic"] = rates(scored[0::2])
    report["single, letterboxed bilinear"] = rates(scored[1::2])
    rng = random.Random(4)
    other, systems = [], []
    for array, _ in frames[:count // 2]:
        content, _ = dialogues.random_single(rng)
        other.append((content, [array]))
    texts = answers(model, tokenizer, other, device)
    report["single, other wordings"] = rates([score(e, parse_line(t)) for (_, e), t in zip(frames, texts)])

    for size in (2, 3, 4, 6):
        groups = [frames[i:i + size] for i in range(0, count - size + 1, size)]
        if size == 4:
            groups += [near[i:i + 4] for i in range(0, len(near) - 3, 4)]
            mixed = list(range(len(near) - 3))
            groups += [[near[i], frames[i], near[i + 1], frames[i + 1]] for i in mixed[:len(near) // 4]]
        requests = []
        for g, group in enumerate(groups):
            stamps = dialogues.random_stamps(random.Random(f"stamps {g}"), size)
            requests.append((dialogues.batch_content(stamps), [a for a, _ in group]))
        texts = answers(model, tokenizer, requests, device, 48)
        by_place = [[] for _ in range(size)]
        placed = complete = distinct = swapped = 0
        for group, text in zip(groups, texts):
            got = parse_batch(text, size)
            complete += all(a is not None for a in got) and len(text.strip().split("\n")) == size
            for place, ((_, expected), answer) in enumerate(zip(group, got)):
                entry = score(expected, answer)
                by_place[place].append(entry)
                placed += 1
                others = [e for p, (_, e) in enumerate(group) if p != place and e["line"] != expected["line"]]
                if others and answer is not None:
                    distinct += 1
                    swapped += any(answer["description"] == e["description"] for e in others)
        report[f"interleaved {size}"] = {
            "prompts": len(groups), "complete": round(complete / len(groups), 4),
            "content of another frame": round(swapped / max(1, distinct), 4),
            "all places": rates([e for entries in by_place for e in entries]),
            **{f"place {p + 1}": rates(entries) for p, entries in enumerate(by_place)}}

    requests, wanted = [], []
    for i in range(0, count // 2 - 2, 3):
        content, _ = dialogues.random_batch(rng, 3)
        requests.append((content, [a for a, _ in frames[i:i + 3]]))
        wanted.append([e for _, e in frames[i:i + 3]])
    texts = answers(model, tokenizer, requests, device, 48)
    report["interleaved 3, other wordings"] = rates(
        [score(e, a) for group, text in zip(wanted, texts) for e, a in zip(group, parse_batch(text, 3))])

    rng = random.Random(5)
    requests, wanted = [], []
    for _ in range(count // 4):
        content, _, answer = dialogues.random_summary(rng)
        requests.append((content, []))
        wanted.append(answer)
    texts = answers(model, tokenizer, requests, device)
    lines_right = [sum(a == b for a, b in zip(w.split("\n"), t.split("\n"))) / len(w.split("\n"))
                   for w, t in zip(wanted, texts)]
    exact = [w == t for w, t in zip(wanted, texts)]
    report["summaries"] = {"count": len(wanted), "exact": round(float(np.mean(exact)), 4),
                           "lines right": round(float(np.mean(lines_right)), 4)}
    for w, t in zip(wanted, texts):
        if w != t and len(wrong) < 70:
            wrong.append({"expected": w, "answer": t})
    return report, wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--frames", type=int, default=1024)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--out", default="evaluation.json")
    args = parser.parse_args()
    tokenizer = bpe.Tokenizer(os.path.join(places.MODEL, "tokenizer.json"))
    frames = draw(args.frames, args.workers)         # before the device is touched: this forks
    model = TinyVLM()
    model.load_state_dict(load_checkpoint(args.folder))
    model.to(args.device).eval()
    report, wrong = full(model, tokenizer, torch.device(args.device), *frames)
    with open(args.out, "w", encoding="utf-8") as file:
        json.dump({"rates": report, "mistakes": wrong}, file, indent=1)
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
