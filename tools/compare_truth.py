#!/usr/bin/env python3
"""Compares what `escribano show --json` says of a recording with what was on the screen.

  escribano show session-a.mp4 --json | tools/compare_truth.py assets/samples/session-a.truth.json --tolerance 2

Every span of the truth must be covered by segments with its activity, its app and its project, but for `--tolerance`
seconds at either end, and no frame may be described within a stretch where nothing changed. Prints one line a span;
the status is 1 where something differs.
"""

import argparse
import json
import sys


def covering(segments, start, end):
    return [s for s in segments if s["start_s"] < end and s["end_s"] > start]


def differences(span, segments, start, end):
    """What is wrong with the segments that cover [start, end]."""
    if not segments or segments[0]["start_s"] > start or segments[-1]["end_s"] < end:
        yield "not covered"
    for segment in segments:
        if segment["activity"] != span["activity"]:
            yield f"activity is {segment['activity']}"
        if span["app"] not in segment["apps"]:
            yield f"apps are {', '.join(segment['apps'])}"
        if span["project"] not in segment["description"]:
            yield f"project missing in \"{segment['description']}\""


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("truth")
    parser.add_argument("--tolerance", type=float, default=2.0, help="seconds; the sampling interval")
    arguments = parser.parse_args()
    with open(arguments.truth, encoding="utf-8") as file:
        truth = json.load(file)
    found = json.load(sys.stdin)
    segments, wrong = found["segments"], 0

    edges = [0.0] + [s["end_s"] for s in segments]
    if [s["start_s"] for s in segments] != edges[:-1] or abs(edges[-1] - truth["seconds"]) > 0.5:
        print("segments do not cover the recording without gaps and overlaps")
        wrong += 1

    print(f"{'truth':>15}  {'activity':10} {'app':10} {'project':16} {'segments':24} off by")
    for span in truth["spans"]:
        start, end = span["start"] + arguments.tolerance, span["end"] - arguments.tolerance
        covered = covering(segments, start, end)
        problems = list(differences(span, covered, start, end))
        off = max((min(abs(edge - span[side]) for edge in edges) for side in ("start", "end")
                   if not inside_same_work(truth["spans"], span, side)), default=0.0)
        if off > arguments.tolerance:
            problems.append("boundary too far")
        times = ", ".join(f"{s['start_s']:g}-{s['end_s']:g}" for s in covered)
        print(f"{span['start']:>7g}-{span['end']:<7g}  {span['activity']:10} {span['app']:10} {span['project']:16} "
              f"{times:24} {off:.1f} s  {'; '.join(problems) or 'ok'}")
        wrong += bool(problems)

    for span in truth["spans"]:
        if span["changing"]:
            continue
        described = [o["timestamp_s"] for o in found["observations"]
                     if o["status"] == "described" and span["start"] + arguments.tolerance < o["timestamp_s"] < span["end"]]
        print(f"still from {span['start']:g} to {span['end']:g} s: {len(described)} frames described")
        wrong += bool(described)
    counts = {}
    for observation in found["observations"]:
        counts[observation["status"]] = counts.get(observation["status"], 0) + 1
    print(f"{len(segments)} segments, {len(found['observations'])} frames: "
          + ", ".join(f"{count} {status}" for status, count in sorted(counts.items())))
    print("all as it was" if not wrong else f"{wrong} differences")
    return 1 if wrong else 0


def inside_same_work(spans, span, side):
    """Whether the work goes on beyond that end of the span, so that no boundary belongs there."""
    neighbour = [s for s in spans if s["end" if side == "start" else "start"] == span[side]]
    return any((s["activity"], s["app"], s["project"]) == (span["activity"], span["app"], span["project"])
               for s in neighbour)


if __name__ == "__main__":
    sys.exit(main())
