"""Rounds of what must not be lost, by Python's own http.client: see ../javascript/rounds.mjs.

    python3 rounds.py http://127.0.0.1:8080 500
"""

import http.client
import json
import sys
from urllib.parse import urlsplit

RS = "\x1e"
EARLY = [
    ("POST", "/spec?id=nobody", 404),
    ("POST", "/spec-auth?id=nobody", 401),
    ("POST", "/spec/negotiate?negotiateVersion=1", 200),
    ("PUT", "/spec", 405),
    ("POST", "/nowhere", 404),
]


def ask(connection, method, path, body=""):
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


def leaving(connection, rounds):
    """Twenty calls in one POST, and DELETE as soon as it is answered."""
    for round in range(rounds):
        _, negotiated = ask(connection, "POST", "/spec/negotiate?negotiateVersion=1")
        path = f"/spec?id={json.loads(negotiated)['connectionToken']}"
        ask(connection, "GET", path)
        ask(connection, "POST", path, '{"protocol":"json","version":1}' + RS)
        ask(connection, "GET", path)
        calls = [
            {"type": 1, "target": "ToOthers", "arguments": [f"python {round}.{number}"]}
            for number in range(20)
        ]
        status, _ = ask(connection, "POST", path, "".join(json.dumps(call) + RS for call in calls))
        assert status == 200, f"the POST was answered {status}"
        ask(connection, "DELETE", path)


def early(connection, rounds, size):
    """Answers that are given before the body has come, on one connection."""
    lost = []
    for round in range(rounds):
        method, path, expected = EARLY[round % len(EARLY)]
        try:
            outcome, _ = ask(connection, method, path, "x" * size)
        except OSError as error:
            outcome = error
            connection.close()
        if outcome != expected:
            lost.append(f"{method} {path}: {outcome}")
    print(f"http.client, {size} bytes: {len(lost)} of {rounds} answers lost", *lost[:1], flush=True)
    return not lost


def main():
    url, rounds = urlsplit(sys.argv[1]), int(sys.argv[2])
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=30)
    leaving(connection, rounds)
    is_well = [early(connection, rounds, size) for size in (2_000, 200_000)]
    sys.exit(not all(is_well))


main()
