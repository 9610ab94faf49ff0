"""Asking a model server on this machine over HTTP."""
import concurrent.futures
import http.client
import json
import time

ANSWER_TIMEOUT_S = 3600


def get_status(port, path):
    """The status of an answer to GET; None where nobody answers."""
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None


def post(name, port, path, body):
    """The JSON that the server `name` answers to `body`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
    connection.request("POST", path, body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    if response.status != 200:
        raise RuntimeError(f"{name} answered {response.status}: {content[:500].decode('utf-8', 'replace')}")
    return json.loads(content)


def post_all(name, port, path, bodies, in_flight):
    """(seconds, answers in the order of `bodies`), `in_flight` at a time."""
    pool = concurrent.futures.ThreadPoolExecutor(in_flight)
    try:
        began = time.monotonic()
        answers = list(pool.map(lambda body: post(name, port, path, body), bodies))
        return time.monotonic() - began, answers
    finally:  # without waiting for answers that nobody wants any more: the server is about to be killed
        pool.shutdown(wait=False, cancel_futures=True)
