"""Renders sessions to MP4 files with their ground truth.  Needs ffmpeg.

    python3 make_samples.py session SEED SECONDS OUT_PREFIX
    python3 make_samples.py frames SEED COUNT OUT_FOLDER
    python3 make_samples.py stills PREFIX OUT_FOLDER

`session` writes OUT_PREFIX.mp4 (H.264, 1280x720, 5 frames per second) and
OUT_PREFIX.truth.json; `frames` writes single PNG frames and truth.json;
`stills` cuts one JPEG per distinct scene out of such a session, from the middle
of the stretch in which the scene is first seen.
"""

import json
import os
import random
import subprocess
import sys

from catalogue import KINDS
from scenes import HEIGHT, WIDTH, Tick, make_scene, make_session, render, truth

RATE = 5


def session(seed, seconds, prefix):
    made = make_session(seed, seconds)
    command = ["ffmpeg", "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
               "-s", f"{WIDTH}x{HEIGHT}", "-r", str(RATE), "-i", "-", "-an", "-c:v", "libx264",
               "-preset", "slow", "-crf", "28", "-pix_fmt", "yuv420p", "-g", str(RATE * 10),
               "-threads", "1", "-bitexact", "-movflags", "+faststart", prefix + ".mp4"]
    encoder = subprocess.Popen(command, stdin=subprocess.PIPE)
    shown, pixels = None, b""
    for frame in range(int(seconds * RATE)):
        now = made.at(frame / RATE)
        if now != shown:
            shown, pixels = now, render(*now).tobytes()
        encoder.stdin.write(pixels)
    encoder.stdin.close()
    if encoder.wait():
        raise SystemExit("ffmpeg failed")
    data = {"video": os.path.basename(prefix) + ".mp4", "fps": RATE, **made.to_dict()}
    with open(prefix + ".truth.json", "w", encoding="utf-8") as file:
        json.dump(data, file, indent=1)
        file.write("\n")
    spans = data["spans"]
    print(f"{data['video']}: {os.path.getsize(prefix + '.mp4') / 2 ** 20:.2f} MiB, {len(spans)} spans, "
          f"{1 + max(s['scene'] for s in spans)} scenes, still: "
          f"{[(s['start'], s['end']) for s in spans if not s['changing']]}")


def frames(seed, count, folder):
    os.makedirs(folder, exist_ok=True)
    rng = random.Random(f"frames {seed}")
    kinds = rng.sample([kind.name for kind in KINDS], min(count, len(KINDS)))
    entries = []
    for i in range(count):
        scene = make_scene(rng, kind=kinds[i % len(kinds)])
        name = f"frame-{i + 1:02d}.png"
        render(scene, Tick(rng.randrange(20), f"{rng.randint(8, 19):02d}:{rng.randint(0, 59):02d}")).save(
            os.path.join(folder, name), optimize=True)
        entries.append({"file": name, **truth(scene)})
    with open(os.path.join(folder, "truth.json"), "w", encoding="utf-8") as file:
        json.dump({"seed": seed, "width": WIDTH, "height": HEIGHT, "frames": entries}, file, indent=1)
        file.write("\n")
    print(f"{count} frames in {folder}")


def stills(prefix, folder):
    with open(prefix + ".truth.json", encoding="utf-8") as file:
        spans = json.load(file)["spans"]
    os.makedirs(folder, exist_ok=True)
    seen = set()
    for span in spans:
        if span["scene"] in seen:
            continue
        seen.add(span["scene"])
        time = (span["start"] + span["end"]) / 2
        name = f"{os.path.basename(prefix)}-{time:05.1f}s.jpg"
        subprocess.run(["ffmpeg", "-y", "-loglevel", "error", "-nostdin", "-ss", f"{time:.3f}", "-i", prefix + ".mp4",
                        "-frames:v", "1", "-q:v", "2", "-bitexact", os.path.join(folder, name)], check=True)
    print(f"{len(seen)} frames in {folder}")


def main(arguments):
    if len(arguments) == 4 and arguments[0] == "session":
        session(int(arguments[1]), float(arguments[2]), arguments[3])
    elif len(arguments) == 4 and arguments[0] == "frames":
        frames(int(arguments[1]), int(arguments[2]), arguments[3])
    elif len(arguments) == 3 and arguments[0] == "stills":
        stills(arguments[1], arguments[2])
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
