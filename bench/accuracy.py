#!/usr/bin/env python3
"""How much of a recording with a known truth the demo model gets right, end to end.

    bench/accuracy.py [--every SECONDS] [--strategy parallel|interleaved] [--batch-size N] [--json FILE]

Frames are taken from assets/samples/session-a.mp4 at three times in every stretch
of its truth (33 frames), and every SECONDS seconds as well if asked for, except
where one screen gives way to the next.
`escribano describe --json` describes them with each strategy; the answers are
compared with the truth exactly:

    parsed     the frame came back, in its place, with an answer that has the right form
    apps       the same applications in the same order
    activity   the same word
    project    its name stands in the description
    title      the name of the file, page or channel stands in the description

The speed is that of the whole command, loading the model included: a hint, not a
benchmark. Ends with status 1 unless 100 % are parsed and every other column reaches 99 %.
Needs Python 3.9 or newer and the ffmpeg command; ./run builds what it measures.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIELDS = ("parsed", "apps", "activity", "project", "title")
MARGIN_S = 0.7                  # at the ends of a stretch: the recording shows a new screen one frame late
LEAST = {"parsed": 100.0, "apps": 99.0, "activity": 99.0, "project": 99.0, "title": 99.0}


def times_in(span):
    """Near its beginning, its middle, near its end."""
    start, end = span["start"] + MARGIN_S, span["end"] - MARGIN_S
    return [start, (start + end) / 2, end]


def wanted_frames(truth, every_s):
    """(time in seconds, span) of every frame to describe, in order of time."""
    chosen = [(round(t, 3), span) for span in truth["spans"] for t in times_in(span)]
    if every_s:
        at = every_s / 2
        while at < truth["seconds"]:
            span = next(s for s in truth["spans"] if at < s["end"])
            if span["start"] + MARGIN_S <= at <= span["end"] - MARGIN_S:
                chosen.append((round(at, 3), span))
            at += every_s
    return sorted(chosen, key=lambda entry: entry[0])


def extract(video, frames, folder):
    """One PNG for each frame; returns their paths."""
    paths = []
    for number, (at, _) in enumerate(frames):
        path = os.path.join(folder, f"{number:04d}-{at:08.3f}s.png")
        subprocess.run(["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-ss", f"{at:.3f}", "-i", video,
                        "-frames:v", "1", path], check=True)
        if not os.path.exists(path):
            raise SystemExit(f"ffmpeg gave no frame at {at} s of {video}")
        paths.append(path)
    return paths


def describe(command, paths, frames, strategy, batch_size, model):
    """(answers by index, seconds) of one call of `escribano describe`."""
    call = [*command, "describe", *paths, "--json", "--model", model, "--strategy", strategy,
            "--batch-size", str(batch_size), "--timestamps", ",".join(f"{at:g}" for at, _ in frames)]
    began = time.monotonic()
    done = subprocess.run(call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    seconds = time.monotonic() - began
    if done.returncode not in (0, 3):                      # 3: some frames failed, and are scored as such
        raise SystemExit(f"{' '.join(call[:2])} ended with status {done.returncode}")
    answers = {}
    for line in done.stdout.decode("utf-8").splitlines():
        answer = json.loads(line)
        if answer["index"] in answers:
            raise SystemExit(f"frame {answer['index']} was answered twice")
        answers[answer["index"]] = answer
    if list(answers) != sorted(answers):
        raise SystemExit("the answers are out of order")
    return answers, seconds


def score(expected, answer, path, at):
    """Which fields of one answer are right."""
    wrong = dict.fromkeys(FIELDS, 0)
    if answer is None or "error" in answer or "raw_response" in answer:
        return wrong
    if answer["imagePath"] != path or abs(answer["timestamp"] - at) > 0.01:
        return wrong                                       # somebody else's answer
    text = answer["description"]

    def names(value):
        return re.search(r"(?<![\w/#.-])" + re.escape(value) + r"(?![\w-])", text) is not None

    return {"parsed": 1, "apps": int(answer["apps"] == expected["apps"]),
            "activity": int(answer["activity"] == expected["activity"]),
            "project": int(names(expected["project"])), "title": int(names(expected["title"]))}


def measure(args, frames, paths, strategy):
    """One row of the table; prints the answers that are wrong."""
    answers, seconds = describe(args.command, paths, frames, strategy, args.batch_size, args.model)
    right = dict.fromkeys(FIELDS, 0)
    for index, ((at, expected), path) in enumerate(zip(frames, paths)):
        answer = answers.get(index)
        scored = score(expected, answer, path, at)
        for field in FIELDS:
            right[field] += scored[field]
        if not all(scored.values()):
            print(f"{strategy}, {at:g} s: {', '.join(f for f in FIELDS if not scored[f])} wrong\n"
                  f"  expected {expected['line']}\n  got      {json.dumps(answer, ensure_ascii=False)}", file=sys.stderr)
    row = {"strategy": strategy, "batch_size": args.batch_size, "frames": len(frames), "answers": len(answers),
           "seconds": round(seconds, 2)}
    return {**row, **{field: 100.0 * right[field] / len(frames) for field in FIELDS}}


def table(rows):
    lines = ["| strategy | frames | " + " | ".join(FIELDS) + " | frames/s |", "|---" * (len(FIELDS) + 3) + "|"]
    for row in rows:
        cells = [row["strategy"], str(row["frames"])] + [f"{row[field]:.1f}" for field in FIELDS]
        lines.append("| " + " | ".join(cells + [f"{row['frames'] / max(row['seconds'], 1e-9):.2f}"]) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--escribano", default=os.path.join(ROOT, "run"), help="the command to measure (default: ./run)")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--strategy", choices=("parallel", "interleaved"), help="only this one (default: both)")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--every", type=float, default=0.0, metavar="SECONDS", help="frames at this interval as well")
    parser.add_argument("--sample", default=os.path.join(ROOT, "assets", "samples", "session-a"),
                        help="a recording and its truth without .mp4 and .truth.json")
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    args = parser.parse_args()
    args.command = [args.escribano]

    with open(args.sample + ".truth.json", encoding="utf-8") as file:
        truth = json.load(file)
    frames = wanted_frames(truth, args.every)
    strategies = (args.strategy,) if args.strategy else ("parallel", "interleaved")
    with tempfile.TemporaryDirectory(prefix="escribano-accuracy-") as folder:
        paths = extract(args.sample + ".mp4", frames, folder)
        rows = [measure(args, frames, paths, strategy) for strategy in strategies]
    print(table(rows))
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)
            file.write("\n")
    missed = [f"{row['strategy']}: {field} {row[field]:.1f} % < {LEAST[field]:g} %"
              for row in rows for field in FIELDS if row[field] < LEAST[field]]
    for line in missed:
        print(line, file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
