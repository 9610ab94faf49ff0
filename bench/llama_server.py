"""llama-server as a peer to measure: started for one run, asked over HTTP, and gone afterwards whatever happens."""
import base64
import json
import pathlib
import re
import subprocess
import tempfile
import time

import http_peer

START_TIMEOUT_S = 300


class LlamaServer:
    """With `slots` sequences of `context_tokens` each; a context manager. All other settings are the server's own."""

    def __init__(self, executable, model, projector, slots, context_tokens, threads, options=()):
        self._command = [str(executable), "--offline", "--host", "127.0.0.1", "--port", "0", "--model", str(model),
                         "--mmproj", str(projector), "--parallel", str(slots), "--ctx-size",
                         str(slots * context_tokens), "--threads", str(threads), "--jinja", *options]
        self._slots = slots
        self._process = None
        self._port = None

    def __enter__(self):
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        try:
            self._wait_until_healthy()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _log_text(self):
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def _wait_until_healthy(self):
        end = time.monotonic() + START_TIMEOUT_S
        while True:
            if self._process.poll() is not None:
                raise RuntimeError(f"llama-server ended with {self._process.returncode}:\n{self._log_text()[-2000:]}")
            if self._port is None:
                listening = re.search(r"listening on http://127\.0\.0\.1:(\d+)", self._log_text())
                self._port = listening and int(listening[1])
            if self._port is not None and http_peer.get_status(self._port, "/health") == 200:
                return
            if time.monotonic() > end:
                raise RuntimeError(f"llama-server was not ready in {START_TIMEOUT_S} s:\n{self._log_text()[-2000:]}")
            time.sleep(0.1)

    def answer(self, bodies):
        """(seconds, answers in the order of `bodies`), as many in flight as the server has slots."""
        return http_peer.post_all("llama-server", self._port, "/v1/chat/completions", bodies, self._slots)

    def peak_memory_mb(self):
        """Resident; None where the system does not say."""
        try:
            status = pathlib.Path(f"/proc/{self._process.pid}/status").read_text()
            return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024 / 1e6
        except OSError:
            return None


def question(picture, prompt, max_tokens, exactly):
    """Body of a chat completion about one PNG. `exactly`: the end of the turn does not count."""
    image = "data:image/png;base64," + base64.b64encode(pathlib.Path(picture).read_bytes()).decode()
    content = [{"type": "image_url", "image_url": {"url": image}}, {"type": "text", "text": prompt}]
    body = {"messages": [{"role": "user", "content": content}], "max_tokens": max_tokens, "temperature": 0,
            "cache_prompt": True, "stream": False}
    if exactly:
        body["ignore_eos"] = True
    return json.dumps(body).encode()
