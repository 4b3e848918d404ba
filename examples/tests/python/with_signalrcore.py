"""signalrcore: threads; WebSockets, server-sent events and long polling; JSON and MessagePack."""

import logging
import queue
import threading

from checks import BINDING, ECHOED, HUB_ERROR, LIMIT, NO_METHOD, OTHER_ERROR, STREAM_ERROR, UNAUTHORIZED, Checks
from signalrcore.hub_connection_builder import HubConnectionBuilder
from signalrcore.subject import Subject
from signalrcore.types import HttpTransportType, HubProtocolEncoding

TRANSPORTS = {
    "ws": HttpTransportType.web_sockets,
    "sse": HttpTransportType.server_sent_events,
    "lp": HttpTransportType.long_polling,
}
PROTOCOLS = {"json": HubProtocolEncoding.text, "messagepack": HubProtocolEncoding.binary}


class Client:
    """A connection whose calls wait for their answers."""

    def __init__(self, url, transport, protocol, skip_negotiation=False, token=None):
        options = {"transport": transport, "skip_negotiation": skip_negotiation}
        if token:
            options["access_token_factory"] = lambda: token
        self.inner = (
            HubConnectionBuilder()
            .with_url(url, options=options)
            .configure_logging(logging.CRITICAL)
            .with_hub_protocol(protocol)
            .build()
        )
        self.answers = queue.Queue()
        opened = queue.Queue()
        self.inner.on_open(lambda: opened.put(True))
        self.inner.on_error(lambda message: self.answers.put(message.error))
        self.inner.start()
        opened.get(timeout=LIMIT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # It returns when the server has said one more thing, which may be its next ping.
        threading.Thread(target=self.inner.stop, daemon=True).start()

    def inbox(self, method):
        received = queue.Queue()
        self.inner.on(method, received.put)
        return received

    def call(self, method, *arguments):
        """The result, or the text of the error. One at a time: it tells errors of all calls at one place."""
        self.inner.send(method, list(arguments), lambda message: self.answers.put(message.result))
        return self.answers.get(timeout=LIMIT)

    def stream(self, method, *arguments):
        """The items, and the text of the error or None."""
        items = []
        # It asks before it can be told who listens, and drops what comes between: asked afterwards.
        send, asked = self.inner.transport.send, []
        self.inner.transport.send = asked.append
        stream = self.inner.stream(method, list(arguments))
        self.inner.transport.send = send
        stream.subscribe({
            "next": items.append,
            "complete": lambda _: self.answers.put(None),
            "error": lambda error: self.answers.put(error),
        })
        for message in asked:
            send(message)
        return items, self.answers.get(timeout=LIMIT)


def run(checks, connect):
    with connect() as client, connect() as other:
        for i, text in enumerate(ECHOED):
            checks.equal(f"echo {i}", client.call("Echo", text), text)
        checks.equal("no argument", client.call("Zero"), 0)
        checks.equal("two arguments", client.call("Add", 40, 2), 42)
        checks.equal("void", client.call("Nothing"), None)
        checks.equal("a big integer", client.call("BigInteger", 2**53), 2**53)
        checks.equal("a fraction", client.call("Number", 0.1), 0.1)
        checks.equal("a bool", client.call("Not", True), False)
        ann = checks.person("Ann", 41, checks.person("Bob", 3))
        checks.equal("an object", client.call("Older", ann), checks.person("Ann", 42, checks.person("Bob", 3)))

        checks.equal("a hub error", client.call("ThrowHub", "as you wish"), HUB_ERROR)
        checks.equal("another error", client.call("ThrowOther", "secret"), OTHER_ERROR)
        checks.equal("an unknown method", client.call("NoSuchMethod"), NO_METHOD)
        checks.equal("too few arguments", client.call("Add", 1), BINDING)

        group = f"{checks.name} group"
        received, heard = client.inbox("Received"), other.inbox("Received")
        client.call("JoinGroup", group)
        other.call("JoinGroup", group)
        client.call("ToGroup", group, "hello 😀")
        for who in (received, heard):
            checks.equal("received", who.get(timeout=LIMIT), ["hello 😀"])
        arguments = client.inbox("Arguments")
        client.call("SendArguments")
        got = arguments.get(timeout=LIMIT)
        checks.equal("six arguments", got, ["text", 1, 2.5, True, None, checks.person("Ann", 7)])

        checks.equal("a stream", client.stream("Numbers", 1_000), (list(range(1_000)), None))
        checks.equal("an empty stream", client.stream("Numbers", 0), ([], None))
        failing = client.stream("NumbersThenHubError", 3, "no more")
        checks.equal("a failing stream", failing, ([0, 1, 2], STREAM_ERROR))

        if "messagepack" in checks.name:
            return  # it leaves the invocation id out of what starts an upload, and the kind out of its end
        upload = Subject()
        client.inner.send("Sum", upload)
        for n in range(100):
            upload.next(n)
        upload.complete()
        checks.equal("after an upload", client.call("Zero"), 0)


def login(checks, connect, tokens):
    with connect(tokens["guest"]) as guest, connect(tokens["admin"]) as admin:
        checks.equal("with a token", guest.call("UserIdentifier"), "ann")
        checks.equal("not for guests", guest.call("AdminsOnly"), UNAUTHORIZED)
        checks.equal("for admins", admin.call("AdminsOnly"), "welcome")
        received = guest.inbox("Received")
        admin.call("ToUser", "ann", "hello ann")
        checks.equal("to a user", received.get(timeout=LIMIT), ["hello ann"])
    try:
        connect(None)
        checks.equal("without a token", "let in", "refused")
    except Exception as refused:
        checks.equal("without a token", "401 Unauthorized" in str(refused).replace(":", ""), True)


def main(url, tokens, over):
    ways = [(name, TRANSPORTS[name], False) for name in over if name in TRANSPORTS]
    if "ws-skip" in over:
        ways.append(("ws-skip", TRANSPORTS["ws"], True))
    for name, transport, skip in ways:
        for protocol, encoding in PROTOCOLS.items():
            if name == "sse" and protocol != "json":
                continue
            checks = Checks(f"signalrcore {name} {protocol}")
            try:
                run(checks, lambda: Client(f"{url}/spec", transport, encoding, skip))
                if tokens:
                    spec_auth = f"{url}/spec-auth"
                    login(checks, lambda token: Client(spec_auth, transport, encoding, skip, token), tokens)
            except Exception:
                checks.broken()
            yield checks
