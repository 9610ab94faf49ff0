"""Looks at report pages in a headless chromium: browser.py FOLDER CHECK

FOLDER has what browser_test.cpp wrote: sample.html with sample.json (the stable interface), small.html, long.html,
attack-NN.html with attack-NN.txt and attack-NN.path.txt (the text and the path as they must be shown). CHECK is the name of a
function below without "check_". Prints what is wrong and ends with 1; with 3 where no chromium is installed.

Speaks the DevTools protocol over a pipe (NUL-separated JSON), so that only the standard library is needed. Whatever the page, it
must load nothing but itself, write nothing to the console, violate no policy, and open no dialog or window.
"""

import base64
import fcntl
import json
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

DEADLINE_S = 60
START_S = 15
ANSWER_S = 25

# Runs before every page's own scripts, also where those are off.
WATCH = """
window.__violations = [];
document.addEventListener('securitypolicyviolation', (e) => window.__violations.push(e.violatedDirective + ' ' + e.blockedURI));
"""


class Wrong(Exception):
    """What was found is not what must be."""


class Silent(Wrong):
    """The browser itself did not answer, whatever the page is like."""


def expect(value, message):
    if not value:
        raise Wrong(message)


def expect_equal(found, wanted, what):
    if found != wanted:
        raise Wrong(f"{what}: {found!r} instead of {wanted!r}")


class Browser:
    def __init__(self, program, folder):
        self.profile = tempfile.mkdtemp(prefix="profile-", dir=folder)
        self.log = open(os.path.join(folder, "chromium.log"), "wb")
        to_browser, self.send_end = os.pipe()
        self.receive_end, from_browser = os.pipe()

        def connect():
            # First out of the way: either may be 3 or 4 itself.
            read = fcntl.fcntl(to_browser, fcntl.F_DUPFD, 10)
            write = fcntl.fcntl(from_browser, fcntl.F_DUPFD, 10)
            os.dup2(read, 3)
            os.dup2(write, 4)

        self.process = subprocess.Popen(
            [program, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-pipe",
             "--no-first-run", "--disable-extensions", "--disable-background-networking", "--disable-component-update",
             "--disable-dev-shm-usage", "--disable-renderer-backgrounding", "--disable-backgrounding-occluded-windows", "--window-size=1280,900", f"--user-data-dir={self.profile}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, close_fds=False, preexec_fn=connect,
            start_new_session=True)
        os.close(to_browser)
        os.close(from_browser)
        self.buffer = b""
        self.last_id = 0
        self.events = []
        self.session = None
        self.end = time.monotonic() + DEADLINE_S

    def close(self):
        # The whole session that was started with it: renderers and helpers too.
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        for end in (self.send_end, self.receive_end):
            os.close(end)
        self.log.close()

    def read(self):
        while b"\0" not in self.buffer:
            now = time.monotonic()
            left = min(self.end, self.asked_at + ANSWER_S) - now
            if left <= 0 or not select.select([self.receive_end], [], [], left)[0]:
                kind = Silent if now < self.end else Wrong
                raise kind(f"the browser did not answer in time to {self.asked}")
            data = os.read(self.receive_end, 1 << 20)
            if not data:
                raise Wrong("the browser ended")
            self.buffer += data
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **params):
        self.last_id += 1
        message = {"id": self.last_id, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.asked = f"{method} {params}"[:300]
        self.asked_at = time.monotonic()
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.send_end, data):]
        while True:
            answer = self.read()
            if answer.get("id") == self.last_id:
                if "error" in answer:
                    raise Wrong(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.take(answer)

    def take(self, event):
        self.events.append(event)
        if event.get("method") == "Page.javascriptDialogOpening":
            raise Wrong(f"the page opened a dialog: {event['params']['message']}")

    def start_page(self):
        self.call("Target.setDiscoverTargets", discover=True)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.target = target
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.addScriptToEvaluateOnNewDocument", source=WATCH)
        self.call("Page.bringToFront")
        self.size(1280, 900)

    def size(self, width, height, mobile=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=mobile)

    def open(self, path):
        self.events.clear()
        self.url = pathlib.Path(path).as_uri()
        self.call("Page.navigate", url=self.url)
        self.until(lambda: any(event.get("method") == "Page.loadEventFired" for event in self.events), "the page is loaded",
                   step=lambda: self.take(self.read()))

    def run(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise Wrong(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, condition, what, step=None):
        while not condition():
            if time.monotonic() > self.end:
                raise Wrong(f"never happened: {what}")
            if step:
                step()

    def until_true(self, expression, what=None):
        self.until(lambda: self.run(f"Boolean({expression})") or self.wait(), what or expression)

    def wait(self):
        """A hundredth of a second between two looks. Not by a timer of the page: one that waits when the page goes to
        another fragment may never answer."""
        select.select([], [], [], 0.01)

    def mouse(self, kind, x, y):
        button = {} if kind == "mouseMoved" else {"button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **button)

    def click(self, x, y):
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y)
        self.mouse("mouseReleased", x, y)

    def click_until(self, selector, expression, what):
        """Clicks until `expression` is true: a page that still scrolls moves what is clicked away from under the mouse."""
        def done():
            self.click(*self.middle(selector))
            look_until = time.monotonic() + 0.5
            while time.monotonic() < look_until:
                if self.run(f"Boolean({expression})"):
                    return True
                self.wait()
            return False

        self.until(done, what)

    def settle(self):
        """Until what scrolled has said so."""
        self.run("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))")

    def hover(self, selector):
        """Moves the mouse until the tooltip is there: a page that is still scrolling takes it away again."""
        def shown():
            x, y = self.middle(selector)
            self.mouse("mouseMoved", x + 1, y)
            self.mouse("mouseMoved", x, y)
            self.wait()
            return self.run("!document.getElementById('tip').hidden")

        self.until(shown, f"a tooltip over {selector}")

    def key(self, name, code, text=None):
        extra = {"text": text} if text else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=name, code=name, windowsVirtualKeyCode=code, **extra)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=name, code=name, windowsVirtualKeyCode=code)

    def box(self, selector):
        return self.run(f"(() => {{ const b = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                        "return {x: b.x, y: b.y, width: b.width, height: b.height}; })()")

    def middle(self, selector):
        box = self.box(selector)
        return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2

    def check_quiet(self):
        """No request but for the page, nothing on the console, nothing refused, no window."""
        self.run("1")
        for event in self.events:
            method, params = event.get("method"), event.get("params", {})
            if method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                expect(url.split("#")[0] == self.url or url.startswith("data:"), f"a request: {url}")
            if method == "Network.webSocketCreated":
                raise Wrong(f"a socket: {params['url']}")
            if method == "Log.entryAdded" and params["entry"]["level"] in ("warning", "error"):
                raise Wrong(f"log: {params['entry']['text']}")
            if method == "Runtime.consoleAPICalled":
                raise Wrong(f"console: {params['args']}")
            if method == "Runtime.exceptionThrown":
                raise Wrong(f"exception: {params['exceptionDetails']}")
            if method == "Target.targetCreated" and params["targetInfo"]["type"] == "page":
                expect(params["targetInfo"]["targetId"] == self.target or params["targetInfo"]["url"] in ("about:blank", self.url),
                       f"a window: {params['targetInfo']['url']}")
        expect_equal(self.run("window.__violations"), [], "violations of the policy")


VISIBLE_FRAMES = """[...document.querySelectorAll('.segment:not([hidden]) .frame:not([hidden])')]
  .reduce((sum, frame) => sum + Number(frame.dataset.count), 0)"""
VISIBLE_SEGMENTS = "[...document.querySelectorAll('.segment:not([hidden])')].map((card) => Number(card.dataset.segment))"


def frames_of(report, segment):
    last = segment is report["segments"][-1]
    return [frame for frame in report["observations"]
            if segment["start_s"] <= frame["timestamp_s"] and
            (frame["timestamp_s"] < segment["end_s"] or last and frame["timestamp_s"] <= segment["end_s"])]


def load(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return file.read()


def check_timeline(browser, folder):
    report = json.loads(load(folder, "sample.json"))
    browser.open(os.path.join(folder, "sample.html"))
    whole = browser.box("#strip")
    spans = browser.run("""[...document.querySelectorAll('.span rect')].map((rect) => {
      const b = rect.getBoundingClientRect(); return [b.x, b.width, getComputedStyle(rect).fill]; })""")
    expect_equal(len(spans), len(report["segments"]), "segments in the timeline")
    length = report["recording"]["duration_s"]
    colours = {}
    for (x, width, colour), segment in zip(spans, report["segments"]):
        wanted_x = whole["x"] + whole["width"] * segment["start_s"] / length
        wanted_width = whole["width"] * (segment["end_s"] - segment["start_s"]) / length
        expect(abs(x - wanted_x) < 3 and abs(width - wanted_width) < 3, f"{x}+{width} instead of {wanted_x}+{wanted_width}")
        colours.setdefault(segment["activity"], set()).add(colour)
    expect(all(len(one) == 1 for one in colours.values()), f"an activity has one colour: {colours}")
    expect_equal(len({next(iter(one)) for one in colours.values()}), len(colours), "colours")

    # Hovering.
    fourth = report["segments"][3]
    browser.hover('.span[data-segment="3"] rect')
    tip = browser.run("document.getElementById('tip').textContent")
    for part in [fourth["activity"].capitalize(), "0:42", "0:57", "15 s", fourth["description"], *fourth["apps"]]:
        expect(part in tip, f"{part!r} in the tooltip {tip!r}")
    box = browser.box("#tip")
    expect(box["x"] >= 0 and box["y"] >= 0 and box["x"] + box["width"] <= 1280, f"the tooltip is on the screen: {box}")
    browser.mouse("mouseMoved", 5, 5)
    browser.until_true("document.getElementById('tip').hidden", "the tooltip is gone")

    # A click shows the frames of the segment.
    expect(not browser.run("document.querySelector('#s3 details').open"), "frames are folded at first")
    browser.click_until('.span[data-segment="3"] rect', "document.querySelector('#s3 details').open",
                        "the frames of the segment are open")
    browser.until_true("""(() => { const b = document.querySelector('#s3').getBoundingClientRect();
      return b.top >= 0 && b.top < innerHeight / 2; })()""", "the segment is in view")
    expect_equal(browser.run("document.activeElement.id"), "s3", "focus")
    expect_equal(browser.run("[...document.querySelectorAll('.segment.chosen, .span.chosen')].map((e) => e.dataset.segment)"),
                 ["3", "3"], "chosen")
    expect_equal(browser.run("document.querySelectorAll('#s3 .frame').length"), len(frames_of(report, fourth)), "frames of it")
    expect(browser.run("[...document.querySelectorAll('#s3 img')].every((img) => img.complete && img.naturalWidth === 320)"),
           "its pictures are there")

    # The keyboard: Tab reaches the timeline, arrows go through it, Enter chooses.
    browser.run("window.scrollTo({top: 0, behavior: 'instant'}); document.activeElement.blur(); document.getElementById('theme').focus()")
    browser.settle()
    browser.key("Tab", 9)
    browser.until_true("document.activeElement.matches('.span[data-segment=\"0\"]')", "Tab goes to the timeline")
    browser.key("ArrowRight", 39)
    browser.until_true("document.activeElement.matches('.span[data-segment=\"1\"]')", "the arrow goes to the next segment")
    browser.until_true("document.getElementById('tip').textContent.includes('0:12')", "the tooltip follows the keyboard")
    browser.key("Enter", 13, "\r")
    browser.until_true("document.querySelector('#s1').matches('.chosen') && document.querySelector('#s1 details').open",
                       "Enter chooses the segment")
    browser.check_quiet()


def check_gaps(browser, folder):
    browser.open(os.path.join(folder, "small.html"))
    expect_equal(browser.run("document.querySelectorAll('.gap').length"), 1, "gaps")
    whole, gap = browser.box("#strip"), browser.box(".gap rect")
    expect(abs(gap["x"] - whole["x"] - 0.4 * whole["width"]) < 3 and abs(gap["width"] - 0.2 * whole["width"]) < 3, f"{gap}")
    expect("2 frames" in browser.run("document.querySelector('#s0 .same').textContent"), "unchanged frames are one line")
    browser.run("document.querySelector('.to-frame').click()")
    browser.until_true("document.querySelector('#s0 details').open && document.querySelector('#f3.chosen')", "a failure leads to its frame")
    browser.check_quiet()


def check_filters(browser, folder):
    report = json.loads(load(folder, "sample.json"))
    browser.open(os.path.join(folder, "sample.html"))
    total = len(report["observations"])

    def expect_shown(what, wanted):
        """`wanted` says of a frame and its segment whether it stays."""
        frames = 0
        segments = []
        for number, segment in enumerate(report["segments"]):
            found = sum(1 for frame in frames_of(report, segment) if wanted(frame, segment))
            frames += found
            if found:
                segments.append(number)
        expect(0 < frames < total, f"{what} leaves some frames")
        expect_equal(browser.run(VISIBLE_FRAMES), frames, f"frames with {what}")
        expect_equal(browser.run(VISIBLE_SEGMENTS), segments, f"segments with {what}")
        expect_equal(browser.run("document.getElementById('count').textContent"), f"Showing {frames} of {total} frames", what)
        expect_equal(browser.run("[...document.querySelectorAll('.span:not(.dim)')].map((a) => Number(a.dataset.segment))"),
                     segments, f"bright segments with {what}")

    def select(name, value):
        browser.run(f"(() => {{ const s = document.getElementById('{name}'); s.value = {json.dumps(value)};"
                    f"if (s.value !== {json.dumps(value)}) throw new Error('no such option');"
                    "s.dispatchEvent(new Event('change', {bubbles: true})); })()")

    def write(text):
        browser.run("(() => { const w = document.getElementById('words'); w.focus(); w.select(); })()")
        browser.call("Input.insertText", text=text)

    def clear():
        browser.run("document.getElementById('clear').click()")
        expect_equal(browser.run(VISIBLE_FRAMES), total, "frames without a filter")
        expect_equal(browser.run("document.getElementById('count').textContent"), f"{total} frames", "count")

    def text_of(frame):
        return " ".join([frame["description"], *frame["apps"], *frame["topics"]]).lower()

    expect_equal(browser.run(VISIBLE_FRAMES), total, "frames at first")
    select("app", "Figma")
    expect_shown("an app", lambda frame, segment: "Figma" in frame["apps"])
    select("activity", "planning")
    expect_shown("an app and an activity", lambda frame, segment: "Figma" in frame["apps"] and segment["activity"] == "planning")
    clear()
    select("activity", "debugging")
    expect_shown("an activity", lambda frame, segment: segment["activity"] == "debugging")
    clear()
    browser.run("document.querySelector('.chip[data-activity=querying]').click()")
    expect_equal(browser.run("document.getElementById('activity').value"), "querying", "the legend filters")
    expect_shown("a chip", lambda frame, segment: segment["activity"] == "querying")
    browser.run("document.querySelector('.chip[data-activity=querying]').click()")
    expect_equal(browser.run(VISIBLE_FRAMES), total, "frames when the chip is taken back")
    select("topic", "legal")
    expect_shown("a topic", lambda frame, segment: "legal" in frame["topics"])
    clear()
    write("ZEPHYR  figma")
    expect_shown("words", lambda frame, segment: "zephyr" in text_of(frame) and "figma" in text_of(frame))
    expect(browser.run("CSS.highlights.get('found').size") > 0, "words are marked")
    expect(browser.run("document.querySelector('.segment:not([hidden]) details').open"), "found frames are open")
    browser.key("Enter", 13, "\r")
    write("z\u00e9phyr figma")
    expect_shown("an accent", lambda frame, segment: "zephyr" in text_of(frame) and "figma" in text_of(frame))
    write("zephyr nosuchword")
    expect_equal(browser.run(VISIBLE_SEGMENTS), [], "segments with a word that is nowhere")
    expect(browser.run("!document.getElementById('none').hidden"), "the page says that nothing was found")
    # A click in the timeline leads to its segment all the same.
    browser.run("window.scrollTo({top: 0, behavior: 'instant'})")
    browser.click_until('.span[data-segment="2"] rect',
                        "!document.querySelector('#s2').hidden && document.querySelector('#s2 details').open",
                        "a click in the timeline leads to its segment")
    expect_equal(browser.run("location.href").split("#")[0], browser.url, "address")
    browser.check_quiet()


def check_attacks(browser, folder):
    pages = sorted(name for name in os.listdir(folder) if name.startswith("attack-") and name.endswith(".html"))
    expect(len(pages) > 10, f"{len(pages)} attacks")
    for name in pages:
        shown = load(folder, name.replace(".html", ".txt"))
        browser.open(os.path.join(folder, name))
        for what, found in browser.run("""({
            description: document.querySelector('#s0 > .said > .description').textContent,
            app: document.querySelector('#s0 > .said .app').textContent,
            topic: document.querySelector('#s0 > .said .topic').textContent,
            frame: document.querySelector('#f0 .description').textContent,
            warning: document.querySelector('.notices .warning').textContent,
            option: document.querySelector('#topic option:nth-child(2)').textContent,
            id: document.querySelector('footer .where:last-child').textContent,
          })""").items():
            expect_equal(found, shown, f"{name}: {what}")
        expect_equal(browser.run("document.querySelector('footer .where').textContent"), load(folder, name.replace(".html", ".path.txt")), f"{name}: path")
        expect_equal(browser.run("""document.querySelectorAll('img[onerror], [onload], [onfocus], [onclick], iframe, object, embed, base,'
          + 'a:not([href^="#"]), main script, main style, main link, main meta').length"""), 0, f"{name}: elements")
        expect_equal(browser.run("document.scripts.length"), 2, f"{name}: scripts")
        # A long title moves the timeline out of sight.
        browser.run("document.getElementById('strip').scrollIntoView({behavior: 'instant', block: 'center'})")
        browser.hover('.span[data-segment="0"] rect')
        expect_equal(browser.run("document.querySelector('#tip p').textContent"), shown, f"{name}: tooltip")
        browser.run("document.querySelectorAll('#tabs button')[1].click()")
        browser.run("document.querySelector('.chip').click()")
        browser.run("document.getElementById('strip').scrollIntoView({behavior: 'instant', block: 'center'})")
        browser.click_until('.span[data-segment="1"] rect', "document.querySelector('#s1 details').open",
                            f"{name}: a click chooses")
        expect_equal(browser.run("typeof window.__pwned"), "undefined", f"{name}: a script ran")
        browser.size(375, 812, mobile=True)
        expect(browser.run("document.documentElement.scrollWidth") <= 375, f"{name}: as wide as the phone")
        browser.size(1280, 900)
        browser.check_quiet()


def check_summary(browser, folder):
    browser.open(os.path.join(folder, "sample.html"))
    shown = "[...document.querySelectorAll('.artefact')].map((a) => a.checkVisibility())"
    expect_equal(browser.run(shown), [True, False, False], "forms at first")
    browser.click_until("#tabs button:nth-child(2)", f"{shown}[1]", "a click shows another form")
    expect_equal(browser.run(shown), [False, True, False], "after a click")
    browser.key("ArrowRight", 39)
    expect_equal(browser.run(shown), [False, False, True], "after the arrow")
    browser.call("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    browser.click_until("#copy", "document.getElementById('copy').textContent === 'Copied'", "the copy button says so")
    expect("The session starts in TablePlus" in browser.run("navigator.clipboard.readText()"), "the Markdown is copied")
    browser.check_quiet()


CONTRAST = """(() => {
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const numbers = (colour) => { const c = document.createElement('canvas').getContext('2d'); c.fillStyle = colour; c.fillRect(0, 0, 1, 1);
    return [...c.getImageData(0, 0, 1, 1).data].slice(0, 3); };
  const ratio = (a, b) => { const [x, y] = [light(numbers(a)), light(numbers(b))].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const style = (selector) => getComputedStyle(document.querySelector(selector));
  const card = style('.card').backgroundColor;
  const probe = document.createElement('i');
  probe.style.color = 'var(--c)';
  document.body.append(probe);
  const activities = {};
  for (const name of %s) {
    probe.className = 'a-' + name;
    activities[name] = ratio(getComputedStyle(probe).color, card);
  }
  probe.remove();
  return { page: style('body').backgroundColor, text: ratio(style('body').color, style('body').backgroundColor),
    soft: ratio(style('.by').color, card), link: ratio(style('.failures a').color, card), bad: ratio(style('.trouble .description').color, card),
    activities };
})()"""
ACTIVITIES = ["coding", "debugging", "reviewing", "testing", "reading", "writing", "messaging", "meeting", "designing", "planning",
              "querying", "analyzing", "terminal", "other"]


def check_schemes(browser, folder):
    pages = {}
    for scheme in ("light", "dark"):
        browser.call("Emulation.setEmulatedMedia", media="screen", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.open(os.path.join(folder, "sample.html"))
        found = browser.run(CONTRAST % json.dumps(ACTIVITIES))
        pages[scheme] = found["page"]
        expect(found["text"] >= 10, f"{scheme}: contrast of text {found['text']}")
        for name in ("soft", "link", "bad"):
            expect(found[name] >= 4.5, f"{scheme}: contrast of {name} {found[name]}")
        for name, ratio in found["activities"].items():
            expect(ratio >= 3, f"{scheme}: contrast of {name} {ratio}")
        before = browser.run("getComputedStyle(document.body).backgroundColor")
        browser.run("document.getElementById('theme').click()")
        expect(browser.run("getComputedStyle(document.body).backgroundColor") != before, "the button changes the scheme")
        browser.run("document.getElementById('theme').click()")
        expect_equal(browser.run("getComputedStyle(document.body).backgroundColor"), before, "and back")
        browser.check_quiet()
    expect(pages["light"] != pages["dark"], f"light and dark differ: {pages}")


def check_phone(browser, folder):
    for width in (375, 320):
        browser.size(width, 812, mobile=True)
        browser.open(os.path.join(folder, "sample.html"))
        browser.run("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
        expect(browser.run("document.documentElement.scrollWidth") <= width, f"{width} px: no scrolling sideways")
        wide = browser.run(f"""[...document.querySelectorAll('body *')].filter((e) => !e.closest('.wide, svg') && e.checkVisibility()
          && e.getBoundingClientRect().right > {width} + 0.5).map((e) => e.tagName + '.' + e.className)""")
        expect_equal(wide, [], f"{width} px: elements that stick out")
        expect(browser.run("parseFloat(getComputedStyle(document.body).fontSize)") >= 15, "text of a readable size")
        browser.check_quiet()


def check_without_scripts(browser, folder):
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    report = json.loads(load(folder, "sample.json"))
    browser.open(os.path.join(folder, "sample.html"))
    expect(not browser.run("document.documentElement.classList.contains('js')"), "scripts are off")
    text = browser.run("document.querySelector('main').textContent")
    for segment in report["segments"]:
        expect(segment["description"] in text, segment["description"])
    for part in ("3 minutes across two projects", "Integration guide written", "The session starts in TablePlus", "Time by app", "1 min 16 s"):
        expect(part in text, part)
    expect_equal(browser.run("document.querySelectorAll('.span').length"), len(report["segments"]), "segments in the timeline")
    expect(not browser.run("document.getElementById('filters').checkVisibility()"), "what needs scripts is not shown")
    # Links of the timeline lead to the segments.
    browser.click_until('.span[data-segment="5"] rect', "document.querySelector('#s5').matches(':target')",
                        "the link leads to the segment")
    browser.run("document.querySelector('#s5 summary').scrollIntoView({behavior: 'instant', block: 'center'})")
    browser.click_until("#s5 summary", "document.querySelector('#s5 details').open", "frames can be opened")
    for event in browser.events:
        if event.get("method") == "Network.requestWillBeSent":
            url = event["params"]["request"]["url"]
            expect(url.split("#")[0] == browser.url or url.startswith("data:"), f"a request: {url}")


def check_print(browser, folder):
    browser.open(os.path.join(folder, "sample.html"))
    browser.run("document.querySelector('#theme').click(); document.querySelector('.chip').click()")
    pdf = base64.b64decode(browser.call("Page.printToPDF", printBackground=True)["data"])
    expect(pdf.startswith(b"%PDF-") and len(pdf) > 20000, f"a PDF of {len(pdf)} bytes")
    expect(browser.run("document.querySelector('#s0 details').open") is False, "folded again after printing")
    browser.call("Emulation.setEmulatedMedia", media="print")
    expect_equal(browser.run("['filters', 'theme', 'copy', 'tabs'].filter((id) => document.getElementById(id).checkVisibility())"),
                 [], "controls on paper")
    expect(browser.run("[...document.querySelectorAll('.segment, .artefact, .frame')].every((e) => e.getBoundingClientRect().height > 0)"),
           "everything is open on paper")
    expect_equal(browser.run("getComputedStyle(document.documentElement).colorScheme"), "light", "scheme on paper")
    browser.check_quiet()


def check_long(browser, folder):
    start = time.monotonic()
    browser.open(os.path.join(folder, "long.html"))
    total = browser.run("document.querySelectorAll('.frame').length")
    expect(total >= 1000, f"{total} frames")
    loaded = time.monotonic()
    browser.run("(() => { const w = document.getElementById('words'); w.focus(); })()")
    browser.call("Input.insertText", text="terminal")
    browser.until_true("document.getElementById('count').textContent.startsWith('Showing')", "the filter is applied")
    found = time.monotonic()
    print(f"{total} frames: loaded in {loaded - start:.2f} s, filtered in {found - loaded:.2f} s")
    expect(found - loaded < 5, f"filtering took {found - loaded:.1f} s")
    expect(browser.run("document.documentElement.scrollWidth") <= 1280, "no scrolling sideways")
    browser.check_quiet()


def start_browser(program, folder):
    """With an empty page open. A chromium that shows none in time, before it has seen anything of ours, is started anew."""
    for attempts_left in (2, 1, 0):
        browser = Browser(program, folder)
        browser.end = time.monotonic() + START_S
        try:
            browser.start_page()
        except Wrong:
            browser.close()
            if attempts_left == 0:
                raise
            continue
        browser.end = time.monotonic() + DEADLINE_S
        return browser


def main():
    folder, name = sys.argv[1:]
    check = globals()[f"check_{name}"]
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        print("chromium is not installed")
        return 3
    for is_last in (False, True):
        try:
            browser = start_browser(program, folder)
        except Wrong as wrong:
            print(f"chromium did not start: {wrong}")
            return 1
        try:
            check(browser, folder)
            return 0
        except Wrong as wrong:
            print(wrong)
            if is_last or not isinstance(wrong, Silent):
                return 1
        finally:
            browser.close()
    return 1


if __name__ == "__main__":
    sys.exit(main())
