#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the client on asyncio, against a scripted gateway on the loopback interface."""
import asyncio
import contextlib
import http
import json
import pathlib
import ssl
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from parley_client import BackoffPolicy, Parley, ParleyError, ReplyCancelled, State
from parley_client.transport import failure
from support import SESSION
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.frames import Close

FAST = BackoffPolicy(base=0.01, cap=0.02, attempts=4)


class Gateway:
    """Runs a script for each connection: a coroutine function that gets the connection, and sends and receives dictionaries."""

    def __init__(self, *scripts, refuse=None):
        self.scripts = list(scripts)
        self.refuse = refuse
        self.requests = []
        self.sessions = 0

    async def __aenter__(self):
        self.server = await serve(self.handle, "127.0.0.1", 0, process_request=self.process, close_timeout=0.2)
        self.url = f"ws://127.0.0.1:{self.server.sockets[0].getsockname()[1]}/v1/ws"
        return self

    async def __aexit__(self, *_):
        self.server.close()
        await self.server.wait_closed()

    def process(self, connection, request):
        self.requests.append(request)
        return self.refuse(connection, len(self.requests)) if self.refuse else None

    async def handle(self, connection):
        script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
        with contextlib.suppress(ConnectionClosed):
            await script(Peer(self, connection))


class Peer:
    def __init__(self, gateway, connection):
        self.gateway, self.connection = gateway, connection

    async def session(self, **fields):
        self.gateway.sessions += 1
        await self.send(**(SESSION | {"resume_token": f"token-{self.gateway.sessions}"} | fields))

    async def send(self, **message):
        await self.connection.send(json.dumps(message))

    async def receive(self, *kinds):
        """Returns the next message of one of the types."""
        while True:
            data = await self.connection.recv()
            if isinstance(data, str) and (message := json.loads(data))["type"] in kinds:
                return message

    async def rest(self):
        while True:
            await self.connection.recv()


async def echo(peer):
    """A gateway that returns each text in two pieces."""
    await peer.session()
    seq = 0
    while True:
        message = await peer.receive("text")
        await peer.send(type="ack", id=message["id"])
        half = len(message["text"]) // 2
        for piece, final in ((message["text"][:half], False), (message["text"][half:], True)):
            seq += 1
            await peer.send(type="text", seq=seq, reply_to=message["id"], text=piece, final=final, **({"done": True} if final else {}))


class Case(unittest.IsolatedAsyncioTestCase):
    def setUp(self):
        self.unhandled = []

    async def asyncSetUp(self):
        asyncio.get_running_loop().set_exception_handler(lambda _, context: self.unhandled.append(context))

    async def asyncTearDown(self):
        await asyncio.sleep(0)
        left = [task for task in asyncio.all_tasks() if "Parley." in task.get_coro().__qualname__]
        self.assertEqual(left, [])
        self.assertEqual(self.unhandled, [])

    def client(self, gateway, **options):
        options.setdefault("backoff", FAST)
        return Parley(gateway.url, websocket_options={"proxy": None}, **options)


class Replies(Case):
    async def test_deltas_stream_and_the_reply_can_be_awaited(self):
        async with Gateway(echo) as gateway, self.client(gateway) as parley:
            self.assertEqual([delta async for delta in parley.say("hello!")], ["hel", "lo!"])
            reply = await parley.say("again")
            self.assertEqual((reply.text, reply.is_done, reply.error), ("again", True, None))
            self.assertEqual((await reply).text, "again")
            self.assertEqual("".join([delta async for delta in reply]), "again")
            await parley.say("accepted").accepted()

    async def test_a_failed_reply_raises_its_error(self):
        async def script(peer):
            await peer.session()
            id = (await peer.receive("text"))["id"]
            error = {"code": "upstream_timeout", "message": "Timed out", "correlation_id": "C1", "retryable": True, "fatal": False}
            await peer.send(type="error", seq=1, reply_to=id, error={**error, "reply_to": id}, done=True)
            await peer.rest()

        async with Gateway(script) as gateway, self.client(gateway) as parley:
            reply = parley.say("x")
            with self.assertRaises(ParleyError) as caught:
                await reply
            self.assertEqual((caught.exception.code, caught.exception.error_class, caught.exception.correlation_id),
                             ("upstream_timeout", "server", "C1"))
            with self.assertRaises(ParleyError):
                async for _ in reply:
                    pass

    async def test_a_cancelled_reply_raises_and_the_gateway_is_told(self):
        told = asyncio.Queue()

        async def script(peer):
            await peer.session()
            await peer.receive("text")
            told.put_nowait(await peer.receive("cancel"))
            await peer.rest()

        async with Gateway(script) as gateway, self.client(gateway) as parley:
            await parley.connected()
            reply = parley.say("x")
            reply.cancel(played_ms=7)
            with self.assertRaises(ReplyCancelled):
                await reply
            message = await told.get()
            self.assertEqual((message["id"], message["played_ms"]), (reply.id, 7))
            self.assertEqual(parley.replies, {})

    async def test_a_failed_reply_that_nobody_awaits_is_no_unhandled_exception(self):
        async with Gateway(echo) as gateway, self.client(gateway) as parley:
            parley.say("x").cancel()

    async def test_invalid_arguments_raise(self):
        parley = Parley("ws://127.0.0.1/")
        for text in ("", "\ud800"):
            with self.assertRaises(ValueError):
                parley.say(text)
        for url in ("https://x/", "wss:///v1/ws", "wss://x/#y"):
            with self.assertRaises(ValueError):
                Parley(url)
        with self.assertRaises(ValueError):
            Parley("wss://x/", resume_state="?")


class Connections(Case):
    async def test_a_lost_connection_is_resumed(self):
        async def first(peer):
            await peer.session()
            id = (await peer.receive("text"))["id"]
            await peer.send(type="ack", id=id)
            await peer.send(type="text", seq=1, reply_to=id, text="hel", final=False)
            await asyncio.sleep(0.05)
            peer.connection.transport.abort()
            peer.gateway.id = id

        async def second(peer):
            await peer.session(resumed=True, last_seq=2)
            await peer.send(type="text", seq=2, reply_to=peer.gateway.id, text="lo", final=True, done=True)
            await peer.rest()

        async with Gateway(first, second) as gateway, self.client(gateway) as parley:
            self.assertEqual((await parley.say("hello")).text, "hello")
            request = gateway.requests[1]
            self.assertEqual(request.headers["Parley-Resume"], "token-1")
            self.assertTrue(request.path.endswith("?last_seq=1"))
            self.assertEqual(parley.stats().resumes, 1)

    async def test_a_bad_gateway_is_tried_again(self):
        def refuse(connection, number):
            return connection.respond(http.HTTPStatus.BAD_GATEWAY, "<html>") if number < 4 else None

        async with Gateway(echo, refuse=refuse) as gateway, self.client(gateway) as parley:
            self.assertEqual((await parley.say("x1")).text, "x1")
            self.assertEqual(len(gateway.requests), 4)

    async def test_a_problem_document_names_the_code(self):
        def refuse(connection, number):
            response = connection.respond(http.HTTPStatus.FORBIDDEN, '{"code":"forbidden","detail":"no","correlation_id":"C2"}')
            del response.headers["Content-Type"]
            response.headers["Content-Type"] = "application/problem+json"
            return response

        async with Gateway(echo, refuse=refuse) as gateway, self.client(gateway) as parley:
            with self.assertRaises(ParleyError) as caught:
                await parley.connected()
            self.assertEqual((caught.exception.code, caught.exception.error_class, caught.exception.correlation_id), ("forbidden", "auth", "C2"))

    async def test_redirects_are_not_followed(self):
        def refuse(connection, number):
            response = connection.respond(http.HTTPStatus.FOUND, "")
            response.headers["Location"] = "ws://127.0.0.1:1/"
            return response

        async with Gateway(echo, refuse=refuse) as gateway, self.client(gateway) as parley:
            with self.assertRaises(ParleyError) as caught:
                await parley.connected()
            self.assertEqual(caught.exception.code, "gave_up")
            self.assertEqual(len(gateway.requests), 5)

    async def test_an_absent_gateway_ends_with_words_and_can_be_tried_again(self):
        async with Gateway(echo) as gateway:
            url = gateway.url
        parley = Parley(url, backoff=FAST, websocket_options={"proxy": None})
        advice = []
        parley.on("advice", lambda event: advice.append(event.key))
        async with parley:
            reply = parley.say("x")
            with self.assertRaises(ParleyError) as caught:
                await reply
            self.assertEqual((caught.exception.code, caught.exception.error_class), ("gave_up", "network"))
            self.assertEqual(parley.state, State.CLOSED)
            self.assertEqual(advice, ["queued", "gave_up"])
            parley.reconnect()
            self.assertEqual(parley.state, State.CONNECTING)

    def test_failures_have_codes(self):
        for error, key in (
            (ssl.SSLCertVerificationError(1, "self-signed"), "tls_failed"), (ssl.SSLError(1, "EOF"), "connect_failed"),
            (ConnectionRefusedError(), "connect_failed"), (EOFError(), "connect_failed"), (TimeoutError(), "connect_failed"),
            (ConnectionClosedError(None, None), 1006), (ConnectionClosedError(Close(4503, "x"), None), 4503),
            (ConnectionClosedError(None, Close(1002, "invalid frame")), 1006),
        ):
            self.assertEqual(failure(error).key, key, repr(error))

    async def test_fresh_tokens_are_requested(self):
        tokens = iter(["old", "new", "renewed"])

        def refuse(connection, number):
            return connection.respond(http.HTTPStatus.UNAUTHORIZED, "") if number == 1 else None

        renewals = asyncio.Queue()

        async def script(peer):
            await peer.session()
            await peer.send(type="goaway", reason="token_expiring", deadline_ms=1000)
            renewals.put_nowait((await peer.receive("auth"))["token"])
            await peer.rest()

        async def token():
            return next(tokens)

        async with Gateway(script, refuse=refuse) as gateway, self.client(gateway, token=token) as parley:
            await parley.connected()
            self.assertEqual([request.headers["Authorization"] for request in gateway.requests], ["Bearer old", "Bearer new"])
            self.assertEqual(await renewals.get(), "renewed")

    async def test_a_failing_token_function_is_tried_again(self):
        calls = []

        def token():
            calls.append(1)
            if len(calls) < 3:
                raise OSError("no token server")
            return "jwt"

        async with Gateway(echo) as gateway, self.client(gateway, token=token) as parley:
            self.assertEqual((await parley.say("ok")).text, "ok")
            self.assertEqual(len(calls), 3)

    async def test_close_while_connecting_leaves_nothing(self):
        async def script(peer):
            await peer.rest()

        async with Gateway(script) as gateway:
            parley = self.client(gateway)
            parley.start()
            reply = parley.say("x")
            await parley.close()
            self.assertEqual(reply.error.code, "closed")
            await parley.close()

    async def test_another_process_resumes(self):
        async def first(peer):
            await peer.session()
            peer.gateway.id = (await peer.receive("text"))["id"]
            await peer.send(type="ack", id=peer.gateway.id)
            await peer.send(type="text", seq=1, reply_to=peer.gateway.id, text="hel", final=False)
            await peer.rest()

        async def second(peer):
            await peer.session(resumed=True, last_seq=2)
            await peer.send(type="text", seq=2, reply_to=peer.gateway.id, text="lo", final=True, done=True)
            await peer.rest()

        async with Gateway(first, second) as gateway:
            parley = self.client(gateway)
            await parley.connected()
            async for _ in (reply := parley.say("hello")):
                break
            state = await parley.suspend()
            async with self.client(gateway, resume_state=state) as other:
                self.assertEqual((await other.replies[reply.id]).text, "hello")


class Events(Case):
    async def test_events_are_iterated_until_close(self):
        async with Gateway(echo) as gateway:
            parley = self.client(gateway)
            events = parley.events()
            async with parley:
                await parley.say("ab")
            kinds = [event.kind async for event in events]
            self.assertEqual([kind for kind in kinds if kind in ("delta", "done", "ack")], ["ack", "delta", "delta", "done"])
            self.assertEqual(kinds[-1], "state")

    async def test_a_failing_handler_is_logged_and_nothing_else(self):
        async with Gateway(echo) as gateway, self.client(gateway) as parley:
            async def later(event):
                raise RuntimeError("later")

            parley.on("delta", lambda event: 1 / 0)
            off = parley.on("delta", later)
            with self.assertLogs("parley_client", "ERROR") as logs:
                self.assertEqual((await parley.say("ab")).text, "ab")
                await asyncio.sleep(0.01)
            self.assertEqual(len(logs.records), 4)
            off()
            off()

    async def test_the_wire_is_shown(self):
        seen = []
        async with Gateway(echo) as gateway, self.client(gateway, on_wire=lambda direction, data: seen.append((direction, json.loads(data)["type"]))) as parley:
            await parley.say("ab")
        self.assertEqual(seen[:5], [("received", "session"), ("sent", "ack"), ("sent", "text"), ("received", "ack"), ("received", "text")])
        self.assertEqual(seen[-1], ("sent", "bye"))


class Sources(Case):
    async def test_a_failing_source_ends_the_reply(self):
        told = asyncio.Queue()

        async def script(peer):
            await peer.session()
            while True:
                data = await peer.connection.recv()
                if isinstance(data, str) and json.loads(data)["type"] == "cancel":
                    told.put_nowait(json.loads(data))

        async def source():
            yield b"12"
            await asyncio.sleep(0.05)
            raise OSError("unplugged")

        async with Gateway(script) as gateway, self.client(gateway) as parley:
            with self.assertRaises(ParleyError) as caught:
                await parley.listen(source())
            self.assertEqual(caught.exception.code, "source_failed")
            await told.get()

    async def test_a_source_is_closed_when_the_reply_ends(self):
        closed = asyncio.Event()

        async def source():
            try:
                yield b"12"
                await asyncio.Event().wait()
            finally:
                closed.set()

        async with Gateway(echo) as gateway, self.client(gateway) as parley:
            reply = parley.listen(source())
            await asyncio.sleep(0.02)
            reply.cancel()
            await asyncio.wait_for(closed.wait(), 5)


if __name__ == "__main__":
    unittest.main()
