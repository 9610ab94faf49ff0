"""Conversations that the demo model is trained and tested on.

The chat format is Qwen's.  A conversation is a list of turns; the content of a
turn is a list of strings and of `IMAGE` marks.  `render_prompt` turns it into
the text that the tokenizer sees, with one `<|image_pad|>` per image token.
"""

import os

import places
from catalogue import ACTIVITIES, APPS, KINDS, PROJECTS, TITLES

IMAGE = object()
IM_START, IM_END = "<|im_start|>", "<|im_end|>"
VISION_START, IMAGE_PAD, VISION_END = "<|vision_start|>", "<|image_pad|>", "<|vision_end|>"


def prompt_text(name):
    with open(os.path.join(places.PROMPTS, name + ".txt"), encoding="utf-8") as file:
        return file.read().rstrip("\n")


SINGLE, BATCH, SUMMARY = (prompt_text(name) for name in ("single", "batch", "summary"))


def render_prompt(content, image_tokens, system=None):
    """Chat text of one user turn up to where the assistant begins."""
    parts = []
    if system:
        parts.append(f"{IM_START}system\n{system}{IM_END}\n")
    parts.append(f"{IM_START}user\n")
    for item in content:
        parts.append(VISION_START + IMAGE_PAD * image_tokens + VISION_END if item is IMAGE else item)
    parts.append(f"{IM_END}\n{IM_START}assistant\n")
    return "".join(parts)


def single_content():
    return [IMAGE, SINGLE]


def batch_content(timestamps):
    """The canonical interleaved prompt: a label with the time, then the frame, N times."""
    content = []
    for i, stamp in enumerate(timestamps, 1):
        content += [f"Frame {i} (timestamp: {stamp}s):", IMAGE]
    return content + [BATCH.format(n=len(timestamps))]


def summary_content(segments):
    return [SUMMARY.format(segments="\n".join(segments))]


# ---- other wordings, so that the model does not depend on one ---------------------

SYSTEMS = (
    "You are a helpful assistant.",
    "You describe screen recordings precisely and briefly.",
    "You look at frames of a screen recording and report what the person is doing.",
    "You are a careful observer of desktop screens. Keep to the requested format.",
    "Answer in English. Do not add anything that was not asked for.",
)

_SHAPE = "description: ... | activity: ... | apps: [...] | topics: [...]"

SINGLE_VARIANTS = (
    "Describe this screenshot in one line: what is shown, the activity, the visible applications and the "
    "topics. Use this format:\n" + _SHAPE,
    "What is the user doing in this frame? Reply in the form\n" + _SHAPE,
    "Analyze the screenshot. Give a description, an activity, the list of apps and the list of topics.\n"
    "Output format: " + _SHAPE,
    "Look at the screen and fill in the four fields below. Read the application name, the project and the "
    "title from the image. Do not guess.\n" + _SHAPE + "\nOutput only that line.",
    "You see one image from a recording of a computer screen. Please summarize it.\nRules:\n1. description: "
    "what is visible\n2. activity: a single word\n3. apps: names of the open applications\n4. topics: "
    "keywords\nFormat: " + _SHAPE,
    _SHAPE,
    "Describe the frame.",
)

BATCH_VARIANTS = (
    "Describe each of the {n} frames above in one line, in order. Use this format for every frame:\n"
    "Frame 1: " + _SHAPE,
    "There are {n} screenshots. For each one give its number, a description, the activity, the apps and the "
    "topics, one line per screenshot:\nFrame 1: " + _SHAPE + "\nFrame 2: " + _SHAPE,
    "Analyze these {n} screenshots from a screen recording, which are shown in order of time.\n"
    "For each frame output exactly one line and nothing else:\nFrame 1: " + _SHAPE,
    "What is the user doing in every frame? Answer for all {n} frames, line by line, as\nFrame N: " + _SHAPE,
    "Frame 1: " + _SHAPE,
    "Describe all {n} frames.",
)

LABELS = ("Frame {} (timestamp: {}s):", "Frame {} (timestamp: {}s):", "Frame {} ({}s):", "Frame {}:",
          "Frame {} at {}s", "Image {}:", "Image {} ({}s):", "Screenshot {}:", "[{}] {}s", "")

OPENINGS = (
    "You will see {n} frames of a screen recording.",
    "You are shown {n} screenshots in order of time.",
    "Here are {n} images. Look at each of them carefully.",
    "Analyze the following screenshots.",
)

SUMMARY_VARIANTS = (
    "Summarize this session in Markdown, with a title, a timeline and lists of projects, applications and "
    "activities.\n\n{segments}",
    "Segments:\n{segments}\n\nWrite a short Markdown summary of the session above.",
    "You get the activity log of a screen recording. Turn it into a short Markdown report. Do not invent "
    "anything.\n\nLog:\n{segments}",
    "Here is what happened during a recording:\n{segments}\nPlease write the summary in Markdown.",
)

NOISE = (
    "Be concise.", "Be brief and exact.", "Keep the answer short.", "Do not use any other words.",
    "Ignore the clock and the menu bar.", "Write plain text without quotes.", "Use English.",
    "This is important.", "Think about what the person wants to achieve.", "Thank you!",
    "The recording was made on a laptop.", "Only mention what can be seen.",
    "If text is too small to read, leave it out.", "Return no JSON and no Markdown.",
)


def _with_noise(rng, text):
    roll = rng.random()
    if roll < 0.2:
        return text + "\n" + rng.choice(NOISE)
    if roll < 0.35:
        return rng.choice(NOISE) + "\n" + text
    if roll < 0.45:
        return rng.choice(NOISE) + " " + rng.choice(NOISE) + "\n\n" + text
    return text


def random_system(rng):
    return rng.choice(SYSTEMS) if rng.random() < 0.25 else None


def random_single(rng):
    """(content, system) of a single-frame request in a random wording."""
    if rng.random() < 0.5:
        return [IMAGE, SINGLE], random_system(rng)
    text = _with_noise(rng, SINGLE if rng.random() < 0.3 else rng.choice(SINGLE_VARIANTS))
    order = rng.random()
    if order < 0.5:
        content = [IMAGE, text]
    elif order < 0.75:
        content = [IMAGE, "\n" + text]
    else:
        content = [text + rng.choice(("", "\n")), IMAGE]
    return content, random_system(rng)


def random_stamps(rng, count):
    """Growing timestamps in one of the usual spellings."""
    time = rng.choice((0.0, rng.uniform(0, 60), rng.uniform(0, 3600)))
    spelling = rng.choice(("{:.0f}", "{:.1f}", "{:.1f}", "{:.2f}", "{:.3f}", "short"))
    stamps = []
    for _ in range(count):
        stamps.append(f"{time:.3f}".rstrip("0").rstrip(".") if spelling == "short" else spelling.format(time))
        time += rng.choice((0.2, 0.5, 1.0, 2.0, 5.0, rng.uniform(0.1, 40)))
    return stamps


def random_batch(rng, count):
    """(content, system) of an interleaved request in a random wording."""
    stamps = random_stamps(rng, count)
    if rng.random() < 0.5:
        return batch_content(stamps), random_system(rng)
    text = _with_noise(rng, BATCH if rng.random() < 0.3 else rng.choice(BATCH_VARIANTS)).replace("{n}", str(count))
    before, after = rng.choice((("", ""), ("", ""), ("\n", "\n"), ("", "\n"), (" ", "\n")))
    label = rng.choice(LABELS)
    content = []
    for i, stamp in enumerate(stamps, 1):
        content += [label.format(i, stamp) + before, IMAGE]
        if after:
            content.append(after)
    place = rng.random()
    if place < 0.5:                                  # what to do, after the frames
        content = content + [text]
    elif place < 0.85:                               # before them
        content = [text + rng.choice(("\n\n", "\n", " "))] + content
    else:                                            # on both sides
        content = [rng.choice(OPENINGS).replace("{n}", str(count)) + "\n"] + content + [text]
    return content, random_system(rng)


def batch_answer(lines):
    return "\n".join(f"Frame {i}: {line}" for i, line in enumerate(lines, 1))


# ---- summaries of a session ---------------------------------------------------------

_SYLLABLES = ("ka lo mi ren tas vor bel dun fi gra hol jen kir lum nor pel qua ros sil tem ul ver wex yon zar "
              "bo che dra el fen gi hu ist ja ku").split()


def _made_up(rng):
    """A name that is in no catalogue, so that copying is learnt rather than recall."""
    word = "".join(rng.choice(_SYLLABLES) for _ in range(rng.randint(2, 3)))
    roll = rng.random()
    if roll < 0.4:
        return word + "-" + rng.choice(("api", "web", "app", "core", "lib", "service", "tools", "data"))
    if roll < 0.6:
        return word.title() + str(rng.randint(1, 99))
    if roll < 0.8:
        return word + rng.choice((".py", ".ts", ".go", ".md", ".cpp", ".html"))
    return word.title() + " " + rng.choice(_SYLLABLES)


def clock(seconds):
    """0:00 style time; hours appear only when needed."""
    minutes, rest = divmod(int(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
    return f"{minutes}:{rest:02d}"


def segment_line(start, end, activity, app, project, subject):
    return f"{clock(start)}-{clock(end)} {activity} | {app} | {project} | {subject}"


def summary_answer(rows):
    """The expected summary; `rows` are (range, activity, app, project, subject)."""
    def unique(column):
        return ", ".join(dict.fromkeys(row[column] for row in rows))

    count = f"{len(rows)} segment" + ("s" if len(rows) > 1 else "")
    first, last = rows[0][0].split("-")[0], rows[-1][0].split("-")[1]
    lines = ["# Session summary", "", f"{count}, from {first} to {last}.", "", "## Timeline", ""]
    lines += [f"- **{span}** {activity} in {app} on {project}: {subject}"
              for span, activity, app, project, subject in rows]
    lines += ["", "## Overview", "", f"- Projects: {unique(3)}", f"- Applications: {unique(2)}",
              f"- Activities: {unique(1)}"]
    return "\n".join(lines)


def random_summary(rng):
    """(content, system, answer) of a text-only request."""
    count = rng.randint(1, 12)
    time = 0.0 if rng.random() < 0.8 else rng.uniform(0, 4000)
    short = rng.choice((0.0, 0.5, 1.0))              # share of segments below two minutes
    recent, rows, lines = [], [], []
    repeat, invent = rng.choice((0.1, 0.45, 0.8)), rng.choice((0.0, 0.5, 1.0))
    for _ in range(count):
        kind = rng.choice(KINDS)
        activity, app = kind.activity, kind.app
        project, subject = rng.choice(tuple(PROJECTS)), rng.choice(kind.titles)
        if rng.random() < 0.5 * invent:
            activity, app = rng.choice(ACTIVITIES), rng.choice(APPS)
        if rng.random() < 0.6 * invent:
            project = _made_up(rng)
        if rng.random() < 0.6 * invent:
            subject = _made_up(rng)
        elif rng.random() < 0.3:
            subject += ", " + rng.choice(TITLES[kind.titles[0]])
        if rng.random() < 0.2 * invent:
            app = _made_up(rng)
        if recent and rng.random() < repeat:
            project = rng.choice(recent)
        recent.append(project)
        end = time + (rng.uniform(4, 110) if rng.random() < short else rng.uniform(60, 1500))
        lines.append(segment_line(time, end, activity, app, project, subject))
        rows.append((lines[-1].split(" ")[0], activity, app, project, subject))
        time = end if rng.random() < 0.8 else end + rng.uniform(1, 60)
    bullet = rng.choice(("", "", "", "- ", "* "))
    text = "\n".join(bullet + line for line in lines)
    template = SUMMARY if rng.random() < 0.5 else rng.choice(SUMMARY_VARIANTS)
    if rng.random() < 0.3:
        template = _with_noise(rng, template)
    return [template.replace("{segments}", text)], random_system(rng), summary_answer(rows)
