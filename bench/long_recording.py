#!/usr/bin/env python3
"""Makes a long recording from the generator of the sample, for sampling_bench.  Needs Pillow, the DejaVu fonts and ffmpeg.

    python3 bench/long_recording.py OUT.mp4 [--seconds 10800] [--jobs N]

Each three minutes are a session of their own (1280x720, 5 frames per second, as assets/samples/session-a.mp4): other
screens, other contents.  They are put together without encoding them again.  Parts that exist in OUT.mp4.parts are kept, so
that it can be stopped and goes on.
"""

import argparse
import concurrent.futures
import os
import subprocess
import sys

GENERATOR = os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, "tools", "demo-model", "make_samples.py")
PART_S = 180
FIRST_SEED = 1000


def make_part(folder, number, seconds):
    path = os.path.join(folder, f"part-{number:04d}.mp4")
    if not os.path.exists(path):
        prefix = os.path.join(folder, f"unfinished-{number:04d}")
        subprocess.run([sys.executable, GENERATOR, "session", str(FIRST_SEED + number), str(seconds), prefix],
                       check=True, stdout=subprocess.DEVNULL)
        os.rename(prefix + ".mp4", path)
        os.remove(prefix + ".truth.json")
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--seconds", type=int, default=3 * 3600)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    folder = arguments.out + ".parts"
    os.makedirs(folder, exist_ok=True)
    lengths = [min(PART_S, arguments.seconds - begin) for begin in range(0, arguments.seconds, PART_S)]
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        parts = list(pool.map(lambda job: make_part(folder, *job), enumerate(lengths)))
    names = os.path.join(folder, "parts.txt")
    with open(names, "w", encoding="utf-8") as file:
        file.writelines(f"file '{os.path.basename(part)}'\n" for part in parts)
    subprocess.run(["ffmpeg", "-y", "-loglevel", "error", "-nostdin", "-f", "concat", "-i", names, "-c", "copy",
                    "-movflags", "+faststart", arguments.out], check=True)
    print(f"{arguments.out}: {os.path.getsize(arguments.out) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
