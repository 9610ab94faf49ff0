"""Ollama as a peer to measure: a server of its own with models of its own, started for one run and gone afterwards.

It converts a Hugging Face folder itself, once for all runs of a bench. Its engine for Qwen3-VL knows the marks around a
picture by their numbers in the real vocabulary, so a model with another one (the demo model) cannot be measured.
"""
import base64
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import time

import http_peer

START_TIMEOUT_S = 60
MODEL = "measured"
LAST_MARK = 151655  # <|image_pad|> of the real vocabulary


class OllamaServer:
    """With `slots` sequences of `context_tokens` each; a context manager."""

    def __init__(self, executable, models, slots, context_tokens):
        self._executable, self._slots = str(executable), slots
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._environment = {**os.environ, "OLLAMA_HOST": f"127.0.0.1:{self._port}", "OLLAMA_MODELS": str(models),
                             "OLLAMA_NUM_PARALLEL": str(slots), "OLLAMA_CONTEXT_LENGTH": str(context_tokens),
                             "OLLAMA_KEEP_ALIVE": "-1", "OLLAMA_LOAD_TIMEOUT": "10m"}
        self._process = None

    def __enter__(self):
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen([self._executable, "serve"], env=self._environment, stdin=subprocess.DEVNULL,
                                         stdout=self._log, stderr=self._log, start_new_session=True)
        end = time.monotonic() + START_TIMEOUT_S
        while http_peer.get_status(self._port, "/api/version") != 200:
            if self._process.poll() is not None or time.monotonic() > end:
                log = self._log_text()
                self.__exit__()
                raise RuntimeError(f"ollama did not start:\n{log[-2000:]}")
            time.sleep(0.1)
        return self

    def __exit__(self, *_):
        for pid in self._processes():
            try:
                os.kill(pid, 9)
            except ProcessLookupError:
                pass
        self._process.wait()
        self._log.close()

    def _log_text(self):
        self._log.seek(0)
        return self._log.read().decode("utf-8", "replace")

    def create(self, folder):
        """Converts a Hugging Face folder; blocks, minutes for large models the first time."""
        with tempfile.NamedTemporaryFile("w", suffix=".modelfile") as modelfile:
            modelfile.write(f"FROM {folder}\nTEMPLATE {{{{ .Prompt }}}}\n")
            modelfile.flush()
            done = subprocess.run([self._executable, "create", MODEL, "-f", modelfile.name], env=self._environment,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise RuntimeError(f"ollama cannot convert {folder}: {done.stdout.decode('utf-8', 'replace')[-500:]}")

    def answer(self, bodies):
        """(seconds, answers in the order of `bodies`), as many in flight as the server has slots."""
        return http_peer.post_all("ollama", self._port, "/api/generate", bodies, self._slots)

    def _processes(self):
        """Of its session: the server and the runners that it starts."""
        found = [self._process.pid]
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if os.getsid(int(entry.name)) == self._process.pid and int(entry.name) not in found:
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    def peak_memory_mb(self):
        """Resident, of all its processes; None where the system does not say."""
        total = 0
        for pid in self._processes():
            try:
                status = pathlib.Path(f"/proc/{pid}/status").read_text()
                total += int(re.search(r"VmHWM:\s*(\d+) kB", status)[1]) * 1024 / 1e6
            except (OSError, TypeError):
                continue
        return total or None


def can_convert(folder):
    """Whether the vocabulary has the tokens that its engine puts around a picture."""
    if folder is None:
        return False
    config = json.loads((folder / "config.json").read_text())
    return config.get("text_config", config).get("vocab_size", 0) > LAST_MARK


def question(picture, prompt, max_tokens, threads):
    """Body of a request about one PNG: the prompt as the model's chat form has it, and the likeliest token each time."""
    return json.dumps({
        "model": MODEL, "raw": True, "stream": False,
        "prompt": f"<|im_start|>user\n[img-0]{prompt}<|im_end|>\n<|im_start|>assistant\n",
        "images": [base64.b64encode(pathlib.Path(picture).read_bytes()).decode()],
        "options": {"temperature": 0, "top_k": 1, "repeat_penalty": 1.0, "num_predict": max_tokens,
                    "num_thread": threads}}).encode()
