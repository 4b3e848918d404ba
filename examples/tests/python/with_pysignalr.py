"""pysignalr: asyncio, WebSockets, JSON and MessagePack."""

import asyncio

from checks import BINDING, ECHOED, HUB_ERROR, LIMIT, NO_METHOD, OTHER_ERROR, STREAM_ERROR, UNAUTHORIZED, Checks
from pysignalr.client import SignalRClient
from pysignalr.protocol.json import JSONProtocol
from pysignalr.protocol.messagepack import MessagepackProtocol


class Client:
    """A SignalRClient whose calls can be awaited."""

    def __init__(self, url, protocol, token=None):
        # Its access_token_factory is asked after the negotiation, which needs the token as well.
        headers = {"Authorization": f"Bearer {token}"} if token else None
        self.inner = SignalRClient(url, protocol=protocol(), headers=headers)
        self.errors = asyncio.Queue()
        self.opened = asyncio.Event()
        self.inner.on_error(self._failed)
        self.inner.on_open(self._opened)

    async def _opened(self):
        self.opened.set()

    async def _failed(self, message):
        await self.errors.put(message.error)

    async def __aenter__(self):
        self.task = asyncio.create_task(self.inner.run())
        opened = asyncio.create_task(self.opened.wait())
        await asyncio.wait({self.task, opened}, timeout=LIMIT, return_when=asyncio.FIRST_COMPLETED)
        if self.task.done():
            self.task.result()
        assert self.opened.is_set(), "does not connect"
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)

    def inbox(self, method):
        received = asyncio.Queue()

        async def put(arguments):
            await received.put(arguments)

        self.inner.on(method, put)
        return received

    async def call(self, method, *arguments):
        """The result, or the text of the error."""
        answer = asyncio.get_running_loop().create_future()

        async def done(message):
            answer.set_result(message.error if message.error is not None else message.result)

        await self.inner.send(method, list(arguments), done)
        return await asyncio.wait_for(answer, LIMIT)

    async def stream(self, method, *arguments):
        """The items, and the text of the error or None."""
        items = []
        ended = asyncio.get_running_loop().create_future()

        async def item(value):
            items.append(value)

        async def complete(_):
            ended.set_result(None)

        async def failed(message):
            ended.set_result(message.error)

        await self.inner.stream(method, list(arguments), item, complete, failed)
        return items, await asyncio.wait_for(ended, LIMIT)


async def run(checks, url, protocol):
    async with Client(url, protocol) as client, Client(url, protocol) as other:
        for i, text in enumerate(ECHOED):
            checks.equal(f"echo {i}", await client.call("Echo", text), text)
        checks.equal("no argument", await client.call("Zero"), 0)
        checks.equal("two arguments", await client.call("Add", 40, 2), 42)
        checks.equal("void", await client.call("Nothing"), None)
        checks.equal("a big integer", await client.call("BigInteger", 2**53), 2**53)
        checks.equal("a bigger one", await client.call("BigInteger", -(2**63)), -(2**63))
        checks.equal("a fraction", await client.call("Number", 0.1), 0.1)
        checks.equal("a bool", await client.call("Not", True), False)
        ann = checks.person("Ann", 41, checks.person("Bob", 3))
        checks.equal("an object", await client.call("Older", ann), checks.person("Ann", 42, checks.person("Bob", 3)))

        checks.equal("a hub error", await client.call("ThrowHub", "as you wish"), HUB_ERROR)
        checks.equal("another error", await client.call("ThrowOther", "secret"), OTHER_ERROR)
        checks.equal("an unknown method", await client.call("NoSuchMethod"), NO_METHOD)
        checks.equal("too few arguments", await client.call("Add", 1), BINDING)
        checks.equal("errors that were told", client.errors.qsize(), 4)

        received, heard = client.inbox("Received"), other.inbox("Received")
        await client.call("JoinGroup", f"{checks.name} group")
        await other.call("JoinGroup", f"{checks.name} group")
        await client.inner.send("ToGroup", [f"{checks.name} group", "hello 😀"])
        for who in (received, heard):
            checks.equal("received", await asyncio.wait_for(who.get(), LIMIT), ["hello 😀"])
        arguments = client.inbox("Arguments")
        await client.call("SendArguments")
        got = await asyncio.wait_for(arguments.get(), LIMIT)
        checks.equal("six arguments", got, ["text", 1, 2.5, True, None, checks.person("Ann", 7)])

        checks.equal("a stream", await client.stream("Numbers", 1_000), (list(range(1_000)), None))
        checks.equal("an empty stream", await client.stream("Numbers", 0), ([], None))
        failing = await client.stream("NumbersThenHubError", 3, "no more")
        checks.equal("a failing stream", failing, ([0, 1, 2], STREAM_ERROR))

        # Its uploads wait for no answer: what the server thinks of them is seen in what it does next.
        async with client.inner.client_stream("Sum") as upload:
            for n in range(100):
                await upload.send(n)
        checks.equal("after an upload", await client.call("Zero"), 0)

        async def answer(arguments):
            return f"you asked {arguments[0]}"

        client.inner.on("Ask", answer)
        # It answers between two messages that it reads: the question must come from elsewhere.
        asked = await client.call("ConnectionId")
        checks.equal("a client result", await other.call("AskClient", asked, "ünï", 10_000), "you asked ünï")


async def login(checks, url, protocol, tokens):
    async with Client(url, protocol, tokens["guest"]) as guest, Client(url, protocol, tokens["admin"]) as admin:
        checks.equal("with a token", await guest.call("UserIdentifier"), "ann")
        checks.equal("not for guests", await guest.call("AdminsOnly"), UNAUTHORIZED)
        checks.equal("for admins", await admin.call("AdminsOnly"), "welcome")
        received = guest.inbox("Received")
        await admin.call("ToUser", "ann", "hello ann")
        checks.equal("to a user", await asyncio.wait_for(received.get(), LIMIT), ["hello ann"])
    try:
        async with Client(url, protocol):
            checks.equal("without a token", "let in", "refused")
    except Exception as refused:
        checks.equal("without a token", type(refused).__name__, "AuthorizationError")


def main(url, tokens):
    for name, protocol in (("json", JSONProtocol), ("messagepack", MessagepackProtocol)):
        checks = Checks(f"pysignalr {name}")
        try:
            asyncio.run(run(checks, f"{url}/spec", protocol))
            if tokens:
                asyncio.run(login(checks, f"{url}/spec-auth", protocol, tokens))
        except Exception:
            checks.broken()
        yield checks
