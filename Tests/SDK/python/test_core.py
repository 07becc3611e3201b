#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tests of the client's state machine and its parts. Deterministic: no sockets, no clock."""
import json
import pathlib
import random
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from parley_client import CODES, ErrorClass, Strategy
from parley_client.backoff import Backoff, BackoffPolicy
from parley_client.effects import Connect, Drop, Emit, Failure, FetchToken, Send
from parley_client.events import Accepted, Advice, Audio, Delta, Done, ErrorReceived, Lost, Push, State, StateChanged
from parley_client.formats import AudioFormat, opus_seconds
from parley_client.health import Check, Health
from parley_client.inbox import Inbox
from parley_client.pace import Pace
from parley_client.saved import SavedState
from parley_client.words import WORDS, Words
from support import Driver

PROTOCOL = pathlib.Path(__file__).parents[3] / "Sources/GatewayServer/Documentation.docc/Protocol.md"
LOST = Failure(1006, "reset")
BROWSER = pathlib.Path(__file__).parents[3] / "Sources/ParleyJS/parley.js"
FORMAT = AudioFormat("pcm16", 16_000, 1)
SECOND = bytes(32_000)


def opening(id="a1"):
    return {"type": "audio", "id": id, "format": FORMAT.fields()}


def error(code, **fields):
    return {"code": code, "message": "…", "param": None, "correlation_id": "C", "retryable": False, "fatal": False} | fields


class Codes(unittest.TestCase):
    def test_every_code_of_the_protocol_is_listed(self):
        page = PROTOCOL.read_text()
        codes = page[page.index("### Error codes"):page.index("### Error messages")]
        names = {name for line in codes.splitlines() if line.startswith("| `") for name in re.findall(r"`([a-z_]+)`", line.split("|")[1])}
        names.discard("done")
        self.assertGreater(len(names), 25)
        self.assertLessEqual(names, CODES.keys())

    def test_every_close_code_is_listed(self):
        page = PROTOCOL.read_text()
        numbers = {int(number) for number in re.findall(r"^\| (\d{4}) \|", page, re.MULTILINE)} | {1001, 1003, 1006}
        self.assertGreater(len(numbers), 18)
        self.assertLessEqual(numbers, CODES.keys())

    def test_every_status_of_a_failed_upgrade_is_listed(self):
        page = PROTOCOL.read_text()
        section = page[page.index("### HTTP errors"):page.index("### In-band errors")]
        self.assertLessEqual({int(status) for status in re.findall(r"^\| (\d{3}) \|", section, re.MULTILINE)}, CODES.keys())

    def test_entries_have_words_that_end_with_a_full_stop(self):
        for key, code in CODES.items():
            self.assertIn(code.words, WORDS, key)
        for text in WORDS.values():
            self.assertRegex(text, r"^[A-Z].*\.$")

    def test_codes_and_words_are_those_of_the_client_for_browsers(self):
        if not BROWSER.exists():
            self.skipTest("the client for browsers isn't here")
        source = BROWSER.read_text()
        texts = dict(re.findall(r'^\t(\w+): "(.*)",$', source[source.index("export const WORDS"):source.index("export const CODES")], re.MULTILINE))
        self.assertEqual({key: texts[key] for key in WORDS if key in texts}, {key: text for key, text in WORDS.items() if key in texts})
        rows = re.findall(r"^(\w+) (\w+) (\w+): (.*?)(?:`|$)", source[source.index("export const CODES"):], re.MULTILINE)
        table = {name: (kind, strategy, words) for kind, strategy, words, names in rows for name in names.split()}
        own = {str(key): (code.error_class, code.strategy, code.words) for key, code in CODES.items()}
        self.assertEqual({name: own[name] for name in table if name in own}, {name: table[name] for name in table if name in own})
        self.assertGreater(len(table.keys() & own.keys()), 60)

    def test_close_codes_that_forbid_reconnecting_stop(self):
        self.assertEqual({CODES[code].strategy for code in (4503, 4504, 4505, 4506, 4507)}, {Strategy.STOP})

    def test_words_of_the_application_take_precedence(self):
        words = Words({"slow_down": "Langsam!", "elsewhere": "Woanders {x}", "reconnecting": "{seconds} s"})
        self.assertEqual(words.code("rate_limited"), "Langsam!")
        self.assertEqual(words.code(4503), "Woanders {x}")
        self.assertEqual(words.text("reconnecting", seconds=3), "3 s")
        self.assertEqual(words.text("resumed"), WORDS["resumed"])


class Backoffs(unittest.TestCase):
    def test_intervals_double_up_to_the_cap_and_end_after_ten_attempts(self):
        highest = []
        for attempt in range(10):
            delays = []
            for seed in range(200):
                backoff = Backoff(BackoffPolicy(), random.Random(seed))
                backoff.count = attempt
                delays.append(backoff.next(at_once=False, minimum=0))
            highest.append(max(delays))
            self.assertLessEqual(highest[-1], min(30, 0.25 * 2 ** attempt))
            self.assertGreater(highest[-1], 0.9 * min(30, 0.25 * 2 ** attempt))
            self.assertLess(min(delays), highest[-1] / 10)
        backoff.count = 10
        self.assertIsNone(backoff.next(at_once=False, minimum=0))

    def test_the_gateways_delay_is_the_lower_bound(self):
        backoff = Backoff(BackoffPolicy(), random.Random(1))
        self.assertTrue(5 <= backoff.next(at_once=False, minimum=5) <= 5.25)

    def test_many_attempts_without_a_limit_do_not_overflow(self):
        backoff = Backoff(BackoffPolicy(attempts=None), random.Random(1))
        backoff.count = 5000
        self.assertLessEqual(backoff.next(at_once=False, minimum=0), 30)


class Inboxes(unittest.TestCase):
    def test_a_repeated_message_is_not_new(self):
        inbox = Inbox()
        self.assertTrue(inbox.sequenced(1, 0))
        self.assertTrue(inbox.sequenced(3, 0))
        self.assertFalse(inbox.sequenced(3, 0))
        self.assertFalse(inbox.sequenced(2, 0))
        self.assertEqual(inbox.last, 3)

    def test_binary_messages_count_on_and_are_recognized_after_a_resume(self):
        inbox = Inbox()
        inbox.sequenced(1, 0)
        self.assertTrue(inbox.binary(0))
        self.assertTrue(inbox.binary(0))
        inbox.begin(1)
        self.assertFalse(inbox.binary(0))
        self.assertFalse(inbox.binary(0))
        self.assertTrue(inbox.binary(0))
        self.assertEqual(inbox.last, 4)

    def test_64_messages_or_one_second_are_acknowledged(self):
        inbox = Inbox()
        inbox.sequenced(1, 10.0)
        self.assertEqual(inbox.due, 11.0)
        for number in range(2, 65):
            inbox.sequenced(number, 10.5)
        self.assertEqual(inbox.due, 10.5)
        self.assertEqual(inbox.acknowledge(), 64)
        self.assertIsNone(inbox.due)


class Healths(unittest.TestCase):
    def test_two_missing_pongs_mean_dead(self):
        health = Health()
        health.begin(30, 0)
        self.assertEqual(health.check(0.5), Check.NOTHING)
        self.assertEqual(health.check(1), Check.PING)
        health.ping(1)
        self.assertEqual(health.check(5.9), Check.NOTHING)
        self.assertEqual(health.check(6), Check.PING)
        health.ping(6)
        self.assertEqual(health.check(11), Check.DEAD)
        self.assertEqual(health.lost_pongs, 2)

    def test_one_missing_pong_is_forgiven(self):
        health = Health()
        health.begin(30, 0)
        health.ping(1)
        health.check(6)
        self.assertTrue(health.pong(health.ping(6), 6.2))
        health.ping(36)
        self.assertEqual(health.check(41), Check.PING)

    def test_jitter_is_smoothed_as_in_rfc_3550(self):
        health = Health()
        health.begin(30, 0)
        for sent, rtt in ((1, 0.1), (31, 0.26)):
            health.pong(health.ping(sent), sent + rtt)
        self.assertAlmostEqual(health.rtt_ms, 260)
        self.assertAlmostEqual(health.jitter_ms, 10)

    def test_a_pong_of_another_ping_is_ignored(self):
        health = Health()
        health.begin(30, 0)
        health.ping(1)
        self.assertFalse(health.pong("p99", 2))
        self.assertIsNone(health.rtt_ms)

    def test_a_probe_has_a_short_deadline(self):
        health = Health()
        self.assertIsNone(health.probe(0))
        health.begin(30, 0)
        self.assertIsNotNone(health.probe(5))
        self.assertEqual(health.check(8), Check.DEAD)

    def test_a_blocked_event_loop_extends_the_deadline(self):
        health = Health()
        health.begin(30, 0)
        health.ping(1)
        health.extend(60)
        self.assertEqual(health.check(62), Check.NOTHING)


class Paces(unittest.TestCase):
    def run_against(self, rate, texts, burst):
        """Sends texts to a gateway with a leaky bucket. Returns the duration and the number of rejections."""
        pace, now, level, at, rejections = Pace(), 100.0, 0.0, 100.0, 0
        while texts:
            if due := pace.wait(now):
                now = due
            pace.sent(now)
            level, at = max(0.0, level - (now - at) * rate), now
            if level + 1 <= burst + 1e-9:
                level += 1
                texts -= 1
                pace.accepted()
            else:
                rejections += 1
                wait = (level + 1 - burst) / rate
                pace.rejected(wait, now, spacing=wait)
        return now - 100, rejections

    def test_texts_follow_the_rate_with_few_rejections(self):
        for rate in (0.5, 1, 10):
            seconds, rejections = self.run_against(rate, 100, 15)
            self.assertLess(seconds, 1.1 * 85 / rate)
            self.assertLess(rejections, 30)

    def test_a_long_wait_is_not_kept(self):
        pace = Pace()
        pace.rejected(10, 0, spacing=10)
        now, texts = 0.0, 0
        while texts < 40:
            now = pace.wait(now) or now
            pace.sent(now)
            pace.accepted()
            texts += 1
        self.assertLess(now, 120)


class Formats(unittest.TestCase):
    def test_durations_of_samples_and_opus_packets(self):
        self.assertEqual(FORMAT.seconds(SECOND), 1)
        self.assertEqual(AudioFormat("mulaw", 8000, 2).seconds(bytes(8000)), 0.5)
        # RFC 6716 §3.1: configuration, frames in the packet.
        self.assertEqual(opus_seconds(bytes([31 << 3])), 0.02)
        self.assertEqual(opus_seconds(bytes([16 << 3 | 1])), 0.005)
        self.assertEqual(opus_seconds(bytes([3 << 3 | 3, 2])), 0.12)
        self.assertEqual(opus_seconds(b""), 0)


class Connecting(unittest.TestCase):
    def test_the_first_connection_has_no_resume_token(self):
        driver = Driver().start()
        self.assertEqual(driver.of(Connect), [Connect(1, None, 0)])
        driver.open()
        self.assertEqual(driver.machine.state, State.OPEN)
        self.assertEqual(driver.of(Send)[0].data, '{"type":"ack","seq":0}')

    def test_a_lost_connection_is_resumed_with_the_last_number(self):
        driver = Driver().start()
        driver.open()
        id = driver.say("hello")
        driver.receive(type="ack", id=id)
        driver.receive(type="text", seq=1, reply_to=id, text="hel", final=False)
        driver.fail(LOST)
        self.assertEqual(driver.machine.state, State.WAITING)
        driver.reconnect()
        self.assertEqual(driver.of(Connect)[-1], Connect(2, "token-1", 1))
        driver.take()
        driver.resume()
        self.assertEqual(driver.of(Send)[0].data, '{"type":"ack","seq":1}')
        self.assertEqual(driver.sent(), [])
        driver.receive(type="text", seq=2, reply_to=id, text="lo", final=True, done=True)
        self.assertEqual([event.text for event in driver.of(Delta)], ["lo"])
        self.assertEqual(driver.ends(), [(id, None)])

    def test_ten_failed_attempts_end_with_words(self):
        driver = Driver().start()
        for _ in range(10):
            driver.fail(Failure("connect_failed"))
            self.assertEqual(driver.machine.state, State.WAITING)
            driver.reconnect()
        driver.fail(Failure("connect_failed"))
        self.assertEqual(driver.machine.state, State.CLOSED)
        self.assertEqual(driver.machine.closed_with.code, "gave_up")
        self.assertIs(driver.machine.closed_with.error_class, ErrorClass.NETWORK)
        self.assertEqual(driver.of(Advice)[-1].key, "gave_up")
        driver.do(driver.machine.reconnect(driver.now))
        self.assertEqual(driver.machine.state, State.CONNECTING)
        driver.open()
        self.assertEqual(driver.machine.state, State.OPEN)

    def test_a_stable_minute_resets_the_attempts_and_a_tenth_takes_one_off(self):
        for seconds, attempts in ((5, 9), (31, 4), (61, 1)):
            driver = Driver(heartbeat=60).start()
            driver.machine._backoff.count = 8
            driver.open()
            for _ in range(seconds):
                driver.wait(1)
                driver.receive(type="pong", id=f"p{driver.machine.health._number}", server_ts=1)
            driver.fail(LOST)
            self.assertEqual(driver.machine._backoff.count, attempts)

    def test_retry_after_is_the_lower_bound(self):
        driver = Driver().start()
        driver.fail(Failure("connection_limit", retry_after=5, is_refusal=True, status=429))
        self.assertGreaterEqual(driver.of(StateChanged)[-1].retry_in, 5)

    def test_a_fatal_error_lends_its_delay_to_the_close(self):
        driver = Driver().start()
        driver.receive(type="error", error=error("overloaded", fatal=True, retryable=True, retry_after_ms=7000))
        driver.fail(Failure(1013, "overloaded"))
        changed = driver.of(StateChanged)[-1]
        self.assertGreaterEqual(changed.retry_in, 7)
        self.assertEqual(changed.error.correlation_id, "C")

    def test_closes_that_forbid_reconnecting_stop(self):
        for code in (4503, 4504, 4505, 4506, 4507, 1009):
            driver = Driver().start()
            driver.open()
            id = driver.say("x")
            driver.fail(Failure(code))
            self.assertEqual(driver.machine.state, State.CLOSED)
            self.assertEqual(driver.of(Done)[0].error.code, str(code))
            self.assertEqual(driver.of(Done)[0].id, id)
            self.assertIsNone(driver.machine.deadline)

    def test_until_a_token_is_confirmed_the_one_before_is_tried_again_once(self):
        driver = Driver().start()
        driver.open()
        id = driver.say("x")
        driver.receive(type="ack", id=id)
        driver.fail(Failure(1006))
        driver.reconnect()
        driver.resume()
        driver.fail(Failure(1006))
        driver.reconnect()
        self.assertEqual(driver.of(Connect)[-1].resume_token, "token-2")
        # A late attempt with the first token had the second one replaced.
        driver.open(resume_error="unknown", lost=True)
        self.assertIn('{"type":"bye"}', [effect.data for effect in driver.of(Send)])
        self.assertEqual(driver.of(Connect)[-1].resume_token, "token-1")
        driver.resume()
        self.assertEqual(driver.of(Lost), [])
        driver.fail(Failure(1006))
        driver.reconnect()
        driver.open(resume_error="unknown", lost=True)
        driver.open(resume_error="unknown", lost=True)
        self.assertEqual([lost.ids for lost in driver.of(Lost)], [(id,)])

    def test_a_session_ended_by_an_operator_is_not_resumed_by_hand(self):
        driver = Driver().start()
        driver.open()
        driver.receive(type="text", seq=9, push={"id": "P"}, text="bye", final=True)
        driver.fail(Failure(4507))
        driver.do(driver.machine.reconnect(driver.now))
        self.assertIsNone(driver.of(Connect)[-1].resume_token)
        driver.open()
        id = driver.say("again")
        driver.receive(type="text", seq=1, reply_to=id, text="again", final=True, done=True)
        self.assertEqual(len(driver.of(Delta)), 1)

    def test_restarts_reconnect_within_the_first_interval(self):
        for code in (1012, 4001, 4002, 4003):
            driver = Driver().start()
            driver.open()
            driver.machine._backoff.count = 6
            driver.fail(Failure(code))
            self.assertLessEqual(driver.of(StateChanged)[-1].retry_in, 0.25)

    def test_an_expired_session_is_replaced(self):
        driver = Driver().start()
        driver.open()
        acknowledged, open_text = driver.say("one"), driver.say("two")
        driver.receive(type="ack", id=acknowledged)
        driver.fail(Failure(4502))
        self.assertEqual(driver.of(Lost), [Lost((acknowledged,), "expired", True)])
        driver.reconnect()
        self.assertIsNone(driver.of(Connect)[-1].resume_token)
        driver.take()
        driver.open(session_id="S2")
        self.assertEqual([message["id"] for message in driver.sent()], [open_text])

    def test_no_session_in_time_is_a_failure(self):
        driver = Driver(connect_timeout=15).start()
        driver.wait(15)
        self.assertEqual(driver.of(Drop), [Drop(1)])
        self.assertEqual(driver.of(StateChanged)[-1].error.code, "connect_timeout")

    def test_a_dead_connection_is_dropped_and_resumed(self):
        driver = Driver(heartbeat=5).start()
        driver.open()
        driver.wait(12)
        self.assertEqual(driver.of(Drop), [Drop(1)])
        self.assertEqual(driver.of(Connect)[-1].resume_token, "token-1")

    def test_a_takeover_by_an_own_late_attempt_is_no_reason_to_stop(self):
        driver = Driver(connect_timeout=15).start()
        driver.open()
        driver.fail(LOST)
        driver.reconnect()
        driver.wait(15)
        driver.reconnect()
        driver.resume()
        driver.fail(Failure(4503))
        self.assertEqual(driver.machine.state, State.WAITING)
        driver.reconnect()
        driver.resume()
        driver.fail(Failure(4503))
        self.assertEqual(driver.machine.state, State.CLOSED)

    def test_inputs_of_former_connections_are_ignored(self):
        driver = Driver().start()
        driver.open()
        driver.fail(LOST)
        driver.reconnect()
        driver.do(driver.machine.disconnected(1, LOST, driver.now))
        driver.do(driver.machine.received(1, '{"type":"text","seq":1}', driver.now))
        self.assertEqual(driver.machine.state, State.CONNECTING)
        self.assertEqual(driver.machine.inbox.last, 0)

    def test_offline_waits_for_the_network(self):
        driver = Driver().start()
        driver.open()
        driver.say("x")
        driver.do(driver.machine.set_online(False, driver.now))
        self.assertEqual(driver.machine.state, State.OFFLINE)
        self.assertEqual(driver.of(Advice)[-1].text, "You are offline. Your message will be sent when you are back.")
        self.assertIsNone(driver.machine.deadline)
        driver.do(driver.machine.set_online(True, driver.now))
        self.assertEqual(driver.machine.state, State.CONNECTING)
        driver.resume()
        self.assertEqual(driver.of(Advice)[-1].key, "resumed")

    def test_invalid_messages_of_the_gateway_cause_a_resume(self):
        for data in ("[]", "{", '{"type":5,"seq":"x"}', '{"type":"text","seq":1,"reply_to":"?","push":3}'):
            driver = Driver().start()
            driver.open()
            driver.do(driver.machine.received(1, data, driver.now))
            self.assertEqual(driver.machine.state, State.WAITING, data)
            self.assertEqual(driver.of(StateChanged)[-1].error.code, "protocol_error")

    def test_unknown_messages_are_ignored(self):
        driver = Driver().start()
        driver.open()
        driver.receive(type="novelty", x=1)
        self.assertEqual(driver.machine.state, State.OPEN)

    def test_close_sends_bye_and_ends_everything(self):
        driver = Driver().start()
        driver.open()
        id = driver.say("x")
        driver.take()
        driver.do(driver.machine.close(driver.now))
        self.assertEqual(json.loads(driver.of(Send)[-1].data), {"type": "bye"})
        self.assertEqual(driver.of(Drop), [Drop(1, is_graceful=True)])
        self.assertEqual([(event.id, event.error.code) for event in driver.of(Done)], [(id, "closed")])
        self.assertEqual(driver.say("y").code, "closed")
        self.assertIsNone(driver.machine.deadline)
        self.assertEqual(driver.machine.close(driver.now), [])
        self.assertEqual(driver.machine.reconnect(driver.now), [])


class Tokens(unittest.TestCase):
    def test_a_rejected_token_is_refreshed_once(self):
        for failure in (Failure("unauthorized", is_refusal=True, status=401), Failure("token_expired", is_refusal=True), Failure(4500), Failure(4501)):
            driver = Driver(can_refresh=True).start()
            driver.fail(failure)
            self.assertLessEqual(driver.of(StateChanged)[-1].retry_in, 0.25)
            driver.reconnect()
            driver.fail(failure)
            self.assertEqual(driver.machine.state, State.CLOSED)
            self.assertIs(driver.machine.closed_with.error_class, ErrorClass.AUTH)

    def test_a_session_between_two_rejections_permits_another_refresh(self):
        driver = Driver(can_refresh=True).start()
        for _ in range(3):
            driver.fail(Failure(4501))
            driver.reconnect()
            driver.open()
        self.assertEqual(driver.machine.state, State.OPEN)

    def test_a_fixed_token_is_not_tried_twice(self):
        driver = Driver().start()
        driver.fail(Failure(401, is_refusal=True))
        self.assertEqual(driver.machine.state, State.CLOSED)

    def test_an_expiring_token_is_renewed_on_the_open_connection(self):
        driver = Driver(can_refresh=True).start()
        driver.open()
        driver.take()
        driver.receive(type="goaway", reason="token_expiring", deadline_ms=60_000)
        self.assertEqual(len(driver.of(FetchToken)), 1)
        driver.take()
        driver.do(driver.machine.token("jwt"))
        self.assertEqual(driver.sent(), [{"type": "auth", "token": "jwt"}])
        driver.wait(0.5)
        self.assertEqual(driver.machine.state, State.OPEN)

    def test_other_goaways_reconnect_before_their_deadline(self):
        times = []
        for seed in range(20):
            driver = Driver(heartbeat=60)
            driver.machine._random = random.Random(seed)
            driver.start().open()
            driver.receive(type="pong", id="p1", server_ts=1)
            begin = driver.now
            driver.receive(type="goaway", reason="draining", deadline_ms=10_000)
            while driver.machine.state is State.OPEN:
                driver.now = driver.machine.deadline
                driver.do(driver.machine.tick(driver.now))
                driver.receive(type="pong", id=f"p{driver.machine.health._number}", server_ts=1)
            self.assertEqual(driver.of(Drop), [Drop(1, is_graceful=True)])
            times.append(driver.now - begin)
        self.assertLessEqual(max(times), 8)
        self.assertGreater(max(times) - min(times), 4)


class Texts(unittest.TestCase):
    def test_texts_wait_for_a_connection_in_order(self):
        driver = Driver().start()
        ids = [driver.say(str(number)) for number in range(3)]
        self.assertEqual(driver.sent(), [])
        driver.open()
        self.assertEqual([message["id"] for message in driver.sent()], ids)

    def test_the_queue_is_bounded_in_messages_and_bytes(self):
        driver = Driver(queue_messages=2).start()
        driver.say("a")
        driver.say("b")
        error = driver.say("c")
        self.assertEqual((error.code, error.error_class, error.retryable), ("queue_full", ErrorClass.POLICY, True))
        driver.open()
        self.assertIsInstance(driver.say("c"), str)
        driver = Driver(queue_bytes=10).start()
        self.assertEqual(driver.say("12345678901").code, "queue_full")

    def test_a_text_over_the_gateways_limit_is_rejected_at_once(self):
        driver = Driver().start()
        driver.open()
        self.assertEqual(driver.say("ä" * 501).code, "message_too_large")

    def test_only_unacknowledged_texts_are_sent_again(self):
        driver = Driver().start()
        driver.open()
        ids = [driver.say(str(number)) for number in range(3)]
        driver.receive(type="ack", id=ids[0])
        # A response implies acceptance.
        driver.receive(type="text", seq=1, reply_to=ids[1], text="1", final=False)
        driver.fail(LOST)
        driver.reconnect()
        driver.take()
        driver.resume()
        self.assertEqual([message["id"] for message in driver.sent()], [ids[2]])
        driver.receive(type="ack", id=ids[2], duplicate=True)
        self.assertEqual(driver.of(Done), [])
        self.assertEqual(driver.machine.stats().messages_resent, 1)

    def test_a_failed_resume_loses_acknowledged_texts_and_sends_the_others(self):
        driver = Driver().start()
        driver.open()
        acknowledged, open_text = driver.say("one"), driver.say("two")
        driver.receive(type="ack", id=acknowledged)
        driver.fail(LOST)
        driver.reconnect()
        driver.take()
        driver.open(session_id="S2", lost=True, resume_error="expired")
        self.assertEqual(driver.of(Lost), [Lost((acknowledged,), "expired", True)])
        done = driver.of(Done)[0]
        self.assertEqual((done.id, done.error.code, done.error.error_class), (acknowledged, "lost", ErrorClass.SERVER))
        self.assertEqual([message["id"] for message in driver.sent()], [open_text])
        driver.receive(type="text", seq=1, reply_to=open_text, text="two", final=True, done=True)
        self.assertEqual(driver.ends(), [(open_text, None)])

    def test_a_resume_with_loss_ends_doubtful_requests(self):
        driver = Driver().start()
        driver.open()
        ids = [driver.say("one"), driver.say("two"), driver.say("three")]
        driver.receive(type="ack", id=ids[0])
        driver.fail(LOST)
        driver.reconnect()
        driver.take()
        driver.resume(lost=True)
        self.assertEqual(driver.of(Lost), [Lost((ids[0],), None, False)])
        driver.receive(type="ack", id=ids[1], duplicate=True)
        driver.receive(type="ack", id=ids[2])
        self.assertEqual([(event.id, event.error.code) for event in driver.of(Done)], [(ids[0], "lost"), (ids[1], "lost")])

    def test_repeated_messages_are_not_delivered(self):
        driver = Driver().start()
        driver.open()
        id = driver.say("x")
        for _ in range(2):
            driver.receive(type="text", seq=1, reply_to=id, text="x", final=False)
        self.assertEqual(len(driver.of(Delta)), 1)
        self.assertEqual(driver.machine.stats().duplicates_dropped, 1)

    def test_a_rate_limited_text_is_sent_again_under_its_id(self):
        driver = Driver().start()
        driver.open()
        id = driver.say("x")
        driver.take()
        driver.receive(type="error", reply_to=id, error=error("rate_limited", reply_to=id, retryable=True, retry_after_ms=2000))
        driver.wait(1.9)
        self.assertEqual(driver.sent(), [])
        driver.wait(0.2)
        self.assertEqual([message["id"] for message in driver.sent()], [id])
        driver.receive(type="ack", id=id)
        self.assertEqual(driver.of(Accepted), [Accepted(id)])

    def test_rejected_texts_are_sent_one_by_one_in_order(self):
        driver = Driver().start()
        driver.open()
        ids = [driver.say(str(number)) for number in range(52)]
        sent = [message["id"] for message in driver.sent()]
        self.assertEqual(sent, ids[:50])
        for id in ids[:45]:
            driver.receive(type="ack", id=id)
        sent = [message["id"] for message in driver.sent()]
        self.assertEqual(sent, ids[50:])
        for id in ids[45:]:
            driver.receive(type="error", reply_to=id, error=error("rate_limited", reply_to=id, retryable=True, retry_after_ms=1000))
        self.assertEqual(driver.sent(), [])
        for id in ids[45:50]:
            driver.wait(1.01)
            self.assertEqual([message["id"] for message in driver.sent()], [id])
            driver.receive(type="ack", id=id)
            self.assertEqual(driver.sent(), [])

    def test_texts_follow_quickly_when_the_gateway_is_no_longer_overloaded(self):
        driver = Driver().start()
        driver.open()
        ids = [driver.say(str(number)) for number in range(20)]
        for _ in range(3):
            for message in driver.sent():
                fields = {"reply_to": message["id"], "retryable": True, "retry_after_ms": 500}
                driver.receive(type="error", reply_to=message["id"], error=error("overloaded", **fields))
            driver.wait(1.01)
        rounds = 0
        while driver.machine.requests.queued:
            rounds += 1
            for message in driver.sent():
                driver.receive(type="ack", id=message["id"])
        self.assertLessEqual(rounds, 6)
        self.assertEqual([request.is_acknowledged for request in driver.machine.requests], [True] * len(ids))

    def test_a_text_that_is_rejected_again_and_again_fails_after_a_minute(self):
        driver = Driver(heartbeat=60).start()
        driver.open()
        id = driver.say("x")
        begin, sendings = driver.now, 0
        while id in driver.machine.requests:
            if driver.sent():
                sendings += 1
                driver.receive(type="error", reply_to=id, error=error("overloaded", reply_to=id, retryable=True, retry_after_ms=100))
            else:
                driver.receive(type="pong", id=f"p{driver.machine.health._number}", server_ts=1)
                driver.now = driver.machine.deadline
                driver.do(driver.machine.tick(driver.now))
        self.assertEqual(driver.ends(), [(id, "overloaded")])
        self.assertTrue(60 < driver.now - begin <= 70)
        self.assertLess(sendings, 20)

    def test_a_text_rejected_for_hours_fails(self):
        driver = Driver().start()
        driver.open()
        id = driver.say("x")
        driver.receive(type="error", reply_to=id, error=error("quota_exceeded", reply_to=id, retryable=True, retry_after_ms=7_200_000))
        done = driver.of(Done)[0]
        self.assertEqual((done.error.code, done.error.retryable, done.error.retry_after_ms), ("quota_exceeded", True, 7_200_000))

    def test_an_invalid_text_fails(self):
        driver = Driver().start()
        driver.open()
        id = driver.say("x")
        driver.receive(type="error", reply_to=id, error=error("invalid_message", reply_to=id))
        self.assertEqual(driver.of(Done)[0].error.error_class, ErrorClass.PROTOCOL)

    def test_a_failed_response_ends_with_its_error_once(self):
        driver = Driver().start()
        driver.open()
        id = driver.say("x")
        driver.receive(type="ack", id=id)
        message = {"type": "error", "seq": 1, "reply_to": id, "done": True, "error": error("upstream_error", reply_to=id, retryable=True)}
        driver.receive(**message)
        driver.receive(**message)
        done = driver.of(Done)
        self.assertEqual([(event.error.code, event.error.correlation_id) for event in done], [("upstream_error", "C")])
        self.assertEqual(driver.of(ErrorReceived), [])

    def test_an_error_without_a_request_is_an_event(self):
        driver = Driver().start()
        driver.open()
        driver.receive(type="error", error=error("unauthorized"))
        self.assertEqual(driver.of(ErrorReceived)[0].error.code, "unauthorized")


class Cancelling(unittest.TestCase):
    def test_a_cancelled_reply_ends_at_once(self):
        driver = Driver().start()
        driver.open()
        id = driver.say("x")
        driver.take()
        driver.do(driver.machine.cancel(id, {"played_ms": 5}, driver.now))
        self.assertEqual(driver.of(Done), [Done(id, is_cancelled=True)])
        self.assertEqual(driver.sent(), [{"type": "cancel", "id": id, "played_ms": 5}])
        driver.receive(type="text", seq=1, reply_to=id, text="late", final=False)
        driver.receive(type="status", seq=2, reply_to=id, state="cancelled", done=True)
        self.assertEqual(driver.of(Delta) + driver.of(Done) + driver.of(ErrorReceived), [])

    def test_a_cancel_that_came_too_late_is_no_error(self):
        driver = Driver().start()
        driver.open()
        id = driver.say("x")
        driver.do(driver.machine.cancel(id, {}, driver.now))
        driver.receive(type="text", seq=1, reply_to=id, text="x", final=True, done=True)
        driver.receive(type="error", reply_to=id, error=error("not_found", reply_to=id))
        self.assertEqual(driver.of(ErrorReceived), [])

    def test_a_cancel_is_repeated_after_a_resume_until_it_is_answered(self):
        driver = Driver().start()
        driver.open()
        id = driver.say("x")
        driver.fail(LOST)
        driver.do(driver.machine.cancel(id, {}, driver.now))
        for expected in ([id], [id], []):
            driver.reconnect()
            driver.take()
            driver.resume()
            self.assertEqual([message["id"] for message in driver.sent()], expected)
            if driver.connection == 3:
                driver.receive(type="error", reply_to=id, error=error("not_found", reply_to=id))
            driver.fail(LOST)

    def test_a_text_that_was_never_sent_is_only_forgotten(self):
        driver = Driver().start()
        id = driver.say("x")
        driver.do(driver.machine.cancel(id, {}, driver.now))
        driver.open()
        self.assertEqual(driver.sent(), [])


class Uploads(unittest.TestCase):
    def stream(self, driver, id="a1", chunks=(), is_finished=False):
        if id not in driver.machine.requests:
            self.assertIsNone(driver.machine.open_stream(opening(id), FORMAT))
        for chunk in chunks:
            driver.do(driver.machine.add_chunk(id, chunk, is_live=False, now=driver.now))
        if is_finished:
            driver.do(driver.machine.end_stream(id, driver.now))

    def test_a_stream_is_opened_fed_and_ended(self):
        driver = Driver().start()
        driver.open()
        self.stream(driver, chunks=[b"11", b"22"], is_finished=True)
        self.assertEqual(driver.sent(), [opening(), b"11", b"22", {"type": "audio", "id": "a1", "final": True}])

    def test_a_stream_continues_after_a_resume_with_what_the_gateway_lacks(self):
        driver = Driver().start()
        driver.open()
        self.stream(driver, chunks=[b"11", b"22", b"33"])
        driver.receive(type="ack", id="a1", chunks=1)
        driver.fail(LOST)
        self.stream(driver, chunks=[b"44"])
        driver.reconnect()
        driver.take()
        driver.resume(open_audio={"id": "a1", "chunks": 2})
        self.assertEqual(driver.sent(), [{"type": "audio", "id": "a1", "from": 3}, b"33", b"44"])
        self.stream(driver, is_finished=True)
        self.assertEqual(driver.sent(), [{"type": "audio", "id": "a1", "final": True}])

    def test_a_lost_end_is_repeated(self):
        driver = Driver().start()
        driver.open()
        self.stream(driver, chunks=[b"11"], is_finished=True)
        driver.fail(LOST)
        driver.reconnect()
        driver.take()
        driver.resume(open_audio={"id": "a1", "chunks": 1})
        self.assertEqual(driver.sent(), [{"type": "audio", "id": "a1", "from": 2}, {"type": "audio", "id": "a1", "final": True}])

    def test_an_unacknowledged_opening_is_repeated_and_its_ack_awaited(self):
        for ack, expected in (
            ({"chunks": 0}, [b"11", {"type": "audio", "id": "a1", "final": True}]),
            ({"duplicate": True}, []),
        ):
            driver = Driver().start()
            driver.open()
            self.stream(driver, chunks=[b"11"], is_finished=True)
            driver.fail(LOST)
            driver.reconnect()
            driver.take()
            driver.resume()
            # The chunks wait: the gateway would ignore those of a repeated opening.
            self.assertEqual(driver.sent(), [opening()])
            driver.receive(type="ack", id="a1", **ack)
            self.assertEqual(driver.sent(), expected)

    def test_an_ended_stream_that_the_gateway_has_is_not_repeated(self):
        driver = Driver().start()
        driver.open()
        self.stream(driver, chunks=[b"11"], is_finished=True)
        driver.receive(type="ack", id="a1", chunks=1)
        driver.fail(LOST)
        driver.reconnect()
        driver.take()
        driver.resume()
        self.assertEqual(driver.sent(), [])

    def test_a_second_stream_waits_for_the_end_of_the_first(self):
        driver = Driver().start()
        driver.open()
        self.stream(driver, "a1", [b"11"])
        self.stream(driver, "a2", [b"22"])
        self.assertEqual(driver.sent(), [opening("a1"), b"11"])
        self.stream(driver, "a1", is_finished=True)
        self.assertEqual(driver.sent(), [{"type": "audio", "id": "a1", "final": True}, opening("a2"), b"22"])

    def test_a_rejected_chunk_pauses_the_stream(self):
        driver = Driver().start()
        driver.open()
        self.stream(driver, chunks=[b"11", b"22", b"33"])
        driver.take()
        driver.receive(type="error", reply_to="a1", error=error("too_fast", reply_to="a1", chunk=2, retryable=True, retry_after_ms=400))
        self.assertEqual(driver.sent(), [])
        driver.wait(0.5)
        self.assertEqual(driver.sent(), [{"type": "audio", "id": "a1", "from": 2}, b"22", b"33"])

    def test_a_rejected_opening_is_repeated(self):
        driver = Driver().start()
        driver.open()
        self.stream(driver, chunks=[b"11"])
        driver.take()
        driver.receive(type="error", reply_to="a1", error=error("rate_limited", reply_to="a1", retryable=True, retry_after_ms=400))
        driver.wait(0.5)
        self.assertEqual(driver.sent(), [opening()])
        driver.receive(type="ack", id="a1", chunks=0)
        self.assertEqual(driver.sent(), [b"11"])

    def test_a_live_stream_that_waits_for_30_seconds_fails(self):
        driver = Driver().start()
        self.stream(driver)
        for _ in range(31):
            driver.do(driver.machine.add_chunk("a1", SECOND, is_live=True, now=driver.now))
        self.assertEqual([(event.id, event.error.code) for event in driver.of(Done)], [("a1", "audio_dropped")])

    def test_the_pace_stays_below_the_gateways_limit(self):
        driver = Driver(heartbeat=60).start()
        driver.open(limits={"limits.audio_realtime_factor": 1.5})
        self.stream(driver, chunks=[bytes(3200)] * 200, is_finished=True)
        begin = driver.now
        sent = len([message for message in driver.sent() if isinstance(message, bytes)])
        self.assertLessEqual(sent, 40)
        while sent < 200:
            driver.receive(type="pong", id=f"p{driver.machine.health._number}", server_ts=1)
            driver.now = driver.machine.deadline
            driver.do(driver.machine.tick(driver.now))
            sent += len([message for message in driver.sent() if isinstance(message, bytes)])
            # The gateway's bucket: a burst of 5 s, then 1.5 s a second.
            self.assertLessEqual(sent * 0.1, 5 + 1.5 * (driver.now - begin))
        self.assertLess(driver.now - begin, 20)

    def test_a_failed_resume_ends_an_accepted_stream(self):
        driver = Driver().start()
        driver.open()
        self.stream(driver, chunks=[b"11"])
        driver.receive(type="ack", id="a1", chunks=0)
        driver.fail(LOST)
        driver.reconnect()
        driver.take()
        driver.open(session_id="S2", lost=True, resume_error="unknown")
        self.assertEqual([(event.id, event.error.code) for event in driver.of(Done)], [("a1", "lost")])
        self.assertEqual(driver.sent(), [])

    def test_a_stream_of_another_process_is_cancelled(self):
        driver = Driver().start()
        driver.open()
        driver.fail(LOST)
        driver.reconnect()
        driver.take()
        driver.resume(open_audio={"id": "other", "chunks": 3})
        self.assertEqual([(message["type"], message["id"]) for message in driver.sent()], [("cancel", "other")])


class Receiving(unittest.TestCase):
    def test_audio_belongs_to_the_message_before_and_continues_after_a_resume(self):
        driver = Driver().start()
        driver.open()
        id = driver.say("x")
        driver.receive(type="audio", seq=1, reply_to=id, format=FORMAT.fields())
        driver.binary(b"one")
        driver.fail(LOST)
        driver.reconnect()
        driver.resume()
        driver.binary(b"two")
        driver.receive(type="audio", seq=4, reply_to=id, format=FORMAT.fields(), final=True)
        self.assertEqual(b"".join(event.data for event in driver.of(Audio)), b"onetwo")
        self.assertTrue(driver.of(Audio)[-1].final)

    def test_a_push_is_delivered_once(self):
        driver = Driver().start()
        driver.open()
        driver.receive(type="text", seq=1, push={"id": "P"}, text="news", final=True)
        driver.receive(type="text", seq=2, push={"id": "P"}, text="news", final=True)
        self.assertEqual([event.id for event in driver.of(Push)], ["P"])

    def test_acknowledgements_follow_within_a_second(self):
        driver = Driver().start()
        driver.open()
        driver.take()
        driver.receive(type="text", seq=1, push={"id": "P"}, text="x", final=True)
        self.assertEqual(driver.of(Send), [])
        driver.wait(1)
        self.assertIn('{"type":"ack","seq":1}', [effect.data for effect in driver.of(Send)])


class Restarting(unittest.TestCase):
    def test_another_process_continues_the_session(self):
        driver = Driver().start()
        driver.open()
        first, second = driver.say("one"), driver.say("two")
        driver.receive(type="ack", id=first)
        driver.receive(type="text", seq=1, reply_to=first, text="o", final=False)
        state = driver.machine.saved().encoded({first: "o"})
        driver.do(driver.machine.suspend(driver.now))
        self.assertNotIn({"type": "bye"}, driver.sent())

        saved = SavedState.decoded(state)
        self.assertEqual(saved.requests[0].text, "o")
        other = Driver(saved).start()
        self.assertEqual(other.of(Connect), [Connect(1, "token-1", 1)])
        other.take()
        other.open(resumed=True, last_seq=1)
        self.assertEqual([message["id"] for message in other.sent()], [second])
        other.receive(type="text", seq=2, reply_to=first, text="ne", final=True, done=True)
        self.assertEqual(other.ends(), [(first, None)])

    def test_an_invalid_state_is_rejected(self):
        for state in ("", "x", "e30=", "bnVsbA=="):
            with self.assertRaises(ValueError):
                SavedState.decoded(state)

    def test_events_can_be_compared(self):
        self.assertEqual(Emit(Delta("a", "b", True)), Emit(Delta("a", "b", True)))


if __name__ == "__main__":
    unittest.main()
