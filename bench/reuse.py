#!/usr/bin/env python3
"""What making use of earlier frames saves, and that it changes no text.

    bench/reuse.py [RECORDING] [--interval SECONDS ...] [--unchanged RULE] [--model NAME]
                   [--rounds N] [--threads N]

`escribano process` describes the frames of a recording (assets/samples/session-a.mp4)
three times for each interval, each time in a process of its own, all of it --rounds
times in alternation:

    all      every sampled frame goes through the whole model: --unchanged none, ESCRIBANO_REUSE=none
    default  as anybody would run it, with nothing kept from before
    again    the same once more in a new process, with --force: vision embeddings are on the disk

Model seconds are those of the vision tower, prefill and decode, as stored with the
run; the least of all rounds. Beside busy processes they say little: the processor
seconds of the whole command with --threads 1 say more there. Texts (all four fields) of every sampled frame are compared with those of `all`.
Ends with status 1 if any differs. Needs Python 3.9 or newer; ./run builds what it measures.
"""

import argparse
import json
import os
import sqlite3
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FIELDS = ("description", "activity", "apps", "topics")


def process(command, recording, home, variables, options):
    """(texts by timestamp, frames described, model seconds, processor seconds) of one run."""
    environment = {**os.environ, "ESCRIBANO_HOME": home, **variables}
    call = [*command, "process", recording, "--json", "--in-process", "--llm", "none", *options]
    before = os.times()
    done = subprocess.run(call, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                          env=environment)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(call)} ended with status {done.returncode}:\n{done.stderr.decode()}")
    after = os.times()
    processor = after.children_user + after.children_system - before.children_user - before.children_system
    observations = json.loads(done.stdout)["observations"]
    texts = {o["timestamp_s"]: tuple(json.dumps(o[field]) for field in FIELDS) for o in observations}
    described = sum(o["status"] == "described" for o in observations)
    with sqlite3.connect(os.path.join(home, "escribano.db")) as database:
        (model_ms,) = database.execute(
            "SELECT sum(model_ms) FROM steps WHERE run = (SELECT max(number) FROM runs)").fetchone()
    return texts, described, model_ms / 1000, processor


def compare(name, runs, references, interval):
    """Prints one row; returns the number of frames whose text differs."""
    texts, described, seconds, processor = (*runs[0][:2], *(min(run[i] for run in runs) for i in (2, 3)))
    reference = (*references[0][:2], *(min(run[i] for run in references) for i in (2, 3)))
    different = [t for t in reference[0] if texts.get(t) != reference[0][t]]
    different += [t for t in texts if t not in reference[0]]
    print(f"| {interval:>8g} | {name:<7} | {len(texts):>6} | {described:>9} | {seconds:>7.1f} | {reference[2] / seconds:>5.2f} | "
          f"{processor:>11.1f} | {reference[3] / processor:>5.2f} | {len(texts) - len(different)} of {len(texts)} |", flush=True)
    for t in different:
        print(f"differs at {t} s:\n  {reference[0].get(t)}\n  {texts.get(t)}", file=sys.stderr)
    return len(different)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recording", nargs="?", default=os.path.join(ROOT, "assets", "samples", "session-a.mp4"))
    parser.add_argument("--interval", type=float, nargs="+", default=[2.0])
    parser.add_argument("--unchanged", default="still", help="the rule of `default` and `again` (default: still)")
    parser.add_argument("--model", default="demo")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0, help="0: one for each processor")
    arguments = parser.parse_args()
    subprocess.run([os.path.join(ROOT, "run"), "--version"], stdout=subprocess.DEVNULL, check=True)
    command = [os.path.join(ROOT, "build", "release", "bin", "escribano")]
    print("| interval | run     | frames | described | model s | times | processor s | times | same text |")
    print("|----------|---------|--------|-----------|---------|-------|-------------|-------|-----------|")
    differences = 0
    for interval in arguments.interval:
        options = ["--model", arguments.model, "--interval", f"{interval:g}"]
        if arguments.threads:
            options += ["--threads", str(arguments.threads)]
        whole = {"ESCRIBANO_REUSE": "none", "ESCRIBANO_EMBEDDING_CACHE_MB": "0"}
        usual = {"ESCRIBANO_REUSE": "all", "ESCRIBANO_EMBEDDING_CACHE_MB": "1024"}
        runs = {"all": [], "default": [], "again": []}
        for _ in range(arguments.rounds):
            with tempfile.TemporaryDirectory() as whole_home, tempfile.TemporaryDirectory() as usual_home:
                every = [*options, "--unchanged", "none"]
                some = [*options, "--unchanged", arguments.unchanged]
                runs["all"].append(process(command, arguments.recording, whole_home, whole, every))
                runs["default"].append(process(command, arguments.recording, usual_home, usual, some))
                runs["again"].append(process(command, arguments.recording, usual_home, usual, [*some, "--force"]))
        for name, done in runs.items():
            differences += compare(name, done, runs["all"], interval)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
