// SPDX-License-Identifier: Apache-2.0
// The demo page of the gateway: a conversation by text and voice with the browser client.
import { Parley, WORDS } from "/v1/client.js";

/** Silence that ends an utterance. */
const SILENCE_MS = 700;
/** Older turns are removed, so that the page doesn't grow. */
const MAX_TURNS = 200;
const CUT_MS = 5000;
/**
 * `echo` lets the gateway's loopback send the voice back; `ear` selects the route of deploy/examples/voice-assistant.sh that has partial
 * transcripts. Other services ignore both.
 */
const VOICE_META = { echo: "audio", ear: "live" };
const STATES = { connecting: "Connecting", open: "Connected", waiting: "Reconnecting", offline: "Offline" };

const isTouch = matchMedia("(pointer: coarse)").matches;
const HINTS = {
	starting: "Starting the microphone …",
	waiting: "Speak now. Press the microphone again to turn it off.",
	speaking: "Listening. Pause when you are done.",
	ended: isTouch ? "Press the microphone to speak." : "Enter sends, Esc stops the answer.",
};
const TALK = "You can interrupt an answer by speaking. Headphones help.";

const $ = (id) => document.getElementById(id);

function make(tag, className = "", text = "") {
	const element = document.createElement(tag);
	element.className = className;
	element.textContent = text;
	return element;
}

/** For screen readers. */
function announce(text) {
	$("announce").textContent = text;
}

// A connection that can be cut

let isCut = false;
const cables = new Set();

/**
 * A WebSocket that can be cut as a network is: from then on nothing passes in either direction, not even a close frame, and new
 * connections fail.
 */
class Cable {
	constructor(...parts) {
		cables.add(this);
		if (isCut) return void setTimeout(() => this.cut(), 50);
		this.socket = new WebSocket(...parts);
		this.socket.binaryType = "arraybuffer";
		for (const type of ["onmessage", "onerror", "onclose"]) {
			this.socket[type] = (event) => {
				if (type === "onclose") cables.delete(this);
				if (!this.dead) this[type]?.(event);
			};
		}
	}

	get readyState() {
		return this.dead ? 3 : this.socket?.readyState ?? 0;
	}

	get bufferedAmount() {
		return this.socket?.bufferedAmount ?? 0;
	}

	send(data) {
		if (!this.dead) this.socket.send(data);
	}

	close() {
		if (!this.dead) this.socket?.close();
	}

	cut() {
		if (this.dead) return;
		this.dead = true;
		if (!this.socket) cables.delete(this);
		this.onclose?.({ code: 1006, reason: "" });
	}
}

// The client

let token = null;
const parley = new Parley("/v1/ws", { WebSocket: Cable, token: () => token });
const on = (type, run) => parley.addEventListener(type, ({ detail }) => run(detail));

// Turns

/** The turns whose response hasn't ended or is still being spoken, by id. */
const turns = new Map();
let listening = null;
/** Whether the button, not silence, ended the utterance. */
let wasStopped = false;
/** An error that isn't about the connection, such as a microphone that isn't allowed. */
let problem = "";

/** Whether the end of the conversation stays in view, because nobody reads further up. */
let isAtEnd = true;
$("log").onscroll = ({ target }) => (isAtEnd = target.scrollHeight - target.scrollTop - target.clientHeight < 80);
new MutationObserver(() => isAtEnd && ($("log").scrollTop = 1e9)).observe($("log"), {
	subtree: true, childList: true, characterData: true, attributes: true,
});

function append(element) {
	$("welcome").hidden = true;
	$("log").append(element);
	while ($("log").childElementCount > MAX_TURNS) $("log").children[1].remove();
	return element;
}

function addTurn(reply, text, isSpoken) {
	const turn = { reply, isSpoken, wantsAudio: $("speak").checked, said: "", marks: { begun: performance.now() } };
	turn.element = make("div", "turn");
	const add = (className, words) => turn.element.appendChild(make("div", className, words));
	turn.you = add(isSpoken ? "you draft" : "you", text);
	turn.youNote = add("note mine");
	turn.answer = add("answer pending");
	turn.note = add("note");
	turn.you.dir = turn.answer.dir = "auto";
	turn.answer.hidden = isSpoken;
	append(turn.element);
	turns.set(reply.id, turn);
	showState();
}

/** How the response is wanted. */
function wish() {
	const play = $("speak").checked;
	return { play, output: play ? "audio" : { modalities: ["text"] } };
}

function ask(text) {
	problem = "";
	isAtEnd = true;
	addTurn(parley.say(text, wish()), text, false);
}

/** Says which messages wait for the connection. */
function markWaiting() {
	if (parley.state === "open") return;
	for (const turn of turns.values()) {
		if (!turn.isSpoken && !turn.accepted && !turn.reply.ended) turn.youNote.textContent = "Waiting for the connection";
	}
}

function accepted(turn) {
	turn.accepted = true;
	turn.youNote.textContent = "";
}

function updateStop() {
	$("stop").hidden = !parley.playing && ![...turns.values()].some(({ reply, answer }) => !reply.ended && !answer.hidden);
}

/** The turns that are being spoken have been interrupted. */
async function silence() {
	const stopped = [...turns.values()].filter(({ hasAudio, isPlayed }) => hasAudio && !isPlayed);
	// The client learns from the audio thread how much was played.
	await new Promise((resolve) => setTimeout(resolve, 200));
	for (const turn of stopped) {
		turn.isPlayed = true;
		turn.note.textContent = `Stopped after ${seconds(turn.reply.playedMs)}`;
		if (turn.reply.ended) turns.delete(turn.reply.id);
	}
	updateStop();
}

function stop() {
	void parley.interrupt();
	void silence();
}

const seconds = (ms) => `${(ms / 1000).toFixed(1)} s`;

/** Listens to an event of a turn. */
function onTurn(type, run) {
	on(type, (detail) => {
		const turn = turns.get(detail.id ?? detail.reply?.id);
		if (turn) run(turn, detail);
		updateStop();
	});
}

onTurn("message", (turn, { type }) => type === "ack" && accepted(turn));

onTurn("delta", (turn, { text }) => {
	accepted(turn);
	turn.marks.first ??= performance.now();
	turn.answer.hidden = false;
	turn.answer.append(text);
	turn.answer.normalize();
});

onTurn("transcript", (turn, { text, final }) => {
	const said = `${turn.said} ${text}`.trim();
	if (final) {
		turn.said = said;
		turn.marks.transcript = performance.now();
	}
	turn.you.textContent = said || "(nothing understood)";
	turn.you.classList.toggle("draft", !final);
	if (final) announce(`You said: ${said}`);
});

onTurn("audio", (turn) => {
	turn.hasAudio = true;
	turn.marks.audio ??= performance.now();
	if (turn.wantsAudio && !turn.isPlayed && !turn.answer.hidden) turn.note.textContent = "Speaking …";
});

onTurn("played", (turn, { id, playedMs }) => {
	turn.isPlayed = true;
	turn.note.textContent = `Spoken in ${seconds(playedMs)}`;
	if (turn.reply.ended) turns.delete(id);
});

onTurn("reply", (turn, { id, reply }) => {
	turn.marks.end = performance.now();
	const isPlaying = turn.hasAudio && turn.wantsAudio && !turn.isPlayed;
	if (!isPlaying || reply.status !== "done") turns.delete(id);
	turn.youNote.textContent = "";
	if (turn.isSpoken && reply.status === "cancelled" && !turn.said && !reply.partial) turn.element.remove();
	turn.answer.classList.remove("pending");
	turn.you.classList.remove("draft");
	turn.answer.hidden = !reply.partial && reply.status !== "done";
	if (!reply.partial) turn.answer.textContent = turn.hasAudio ? "♪ Answer in sound" : "(no words in the answer)";
	if (reply.status === "cancelled") turn.note.textContent = turn.hasAudio ? `Stopped after ${seconds(reply.playedMs)}` : "Stopped";
	if (reply.status === "error") {
		turn.note.textContent = reply.error.text;
		turn.note.classList.add("bad");
		if (reply.error.retryable && !turn.isSpoken) {
			const again = make("button", "", "Send again");
			again.onclick = () => ask(turn.you.textContent);
			turn.note.append(again);
		}
		announce(reply.error.text);
	}
	if (reply.status === "done") {
		if (isPlaying) turn.note.textContent = "Speaking …";
		announce(reply.partial ? `Answer: ${reply.partial}` : turn.answer.textContent);
		if (turn.wantsAudio) {
			$("sound-hint").textContent = turn.hasAudio ? TALK : "The last answer came without sound: the service behind this gateway writes only.";
		}
		drawTurn(turn);
	}
});

on("push", (message) => {
	if (message.type === "text" && message.text) append(make("p", "event", message.text));
});

// Voice

on("speech", ({ reply }) => {
	void silence();
	addTurn(reply, "Listening …", true);
});

onTurn("utterance", (turn) => {
	turn.marks.spoken = performance.now();
	turn.silence = wasStopped ? 0 : SILENCE_MS;
	turn.answer.hidden = false;
});

async function listen() {
	problem = "";
	wasStopped = false;
	const mine = (listening = parley.listen({ ...wish(), continuous: $("keep").checked, silenceMs: SILENCE_MS, meta: VOICE_META }));
	showMicrophone();
	showState();
	announce("Listening");
	try {
		for await (const _ of mine) if (mine.state === "ended") break;
	} catch {
		// The event `error` or the turn has told it.
	}
	if (listening === mine) listening = null;
	showMicrophone();
}

function showMicrophone() {
	const mic = $("mic");
	const state = listening?.state ?? "ended";
	const isOn = state !== "ended";
	if (!isOn && mic.ariaPressed === "true") announce("The microphone is off");
	mic.ariaPressed = String(isOn);
	mic.style.setProperty("--level", isOn ? Math.min(1, 2 * Math.sqrt(listening.level)) : 0);
	if ($("hint").textContent !== HINTS[state]) $("hint").textContent = HINTS[state];
	if (isOn) requestAnimationFrame(showMicrophone);
}

// The waterfall of the last turn

function drawTurn({ reply, marks, isSpoken, silence }) {
	const { begun, spoken, transcript, first, audio, end } = marks;
	const { sentMs, ackMs } = reply.timing;
	const zero = isSpoken ? spoken - silence : begun;
	const rows = [];
	let last = 0;
	const step = (label, at) => {
		if (at > last) rows.push([label, last, (last = at), ""]);
	};
	step("Silence after you", silence);
	if (!isSpoken) step("Sent", sentMs);
	// The gateway measures durations; where they begin is the client's estimate.
	const arrived = last;
	if (isSpoken) step("Recognized", transcript - zero);
	else step("Accepted", ackMs);
	step("First words", first - zero);
	// Sound isn't played while you speak.
	const heard = Math.max(audio - zero, silence ?? 0);
	step("First sound", heard);
	step("Complete", end - zero);
	rows.push(["Total", 0, last, "total"]);
	if (reply.last?.timing) {
		const { queue_ms: queue, connect_ms: connect, first_ms: piece, total_ms: total } = reply.last.timing;
		const bar = (label, from, ms) => rows.push([label, arrived + from, arrived + from + ms, "gateway"]);
		rows.push(["In the gateway"]);
		bar("Queue", 0, queue);
		bar("Connect", queue, connect);
		// A response that begins before the recording ends is measured from the begin of the recording.
		if (piece <= total) bar("First piece", queue + connect, piece);
		bar("Total", 0, total);
	}
	const scale = Math.max(...rows.map(([, , to = 1]) => to));
	$("waterfall").tBodies[0].replaceChildren(...rows.map(([label, from, to, className = "head"]) => {
		const row = make("tr", className);
		row.append(make("th", "", label));
		if (to === undefined) return row;
		const bar = make("td", "bar");
		const { style } = bar.appendChild(make("i"));
		style.left = `${Math.min(99, (from / scale) * 100)}%`;
		style.width = `${((to - from) / scale) * 100}%`;
		row.append(bar, make("td", "", duration(to - from)));
		return row;
	}));
	$("waterfall").hidden = false;
	const sum = [first && `first words ${duration(first - zero)}`, heard && `first sound ${duration(heard)}`].filter(Boolean).join(", ");
	$("turn-sum").textContent = `After you ${isSpoken ? "stopped speaking" : "sent the message"}: ${sum || `complete ${duration(last)}`}.`;
}

const duration = (ms) => (ms < 1000 ? `${ms.toFixed(ms < 10 ? 1 : 0)}\u00a0ms` : `${(ms / 1000).toFixed(2)}\u00a0s`);

// The connection

let isRejected = false;

function showState() {
	$("state").dataset.state = parley.state;
	$("state-text").textContent = STATES[parley.state] ?? "Not connected";
	const isClosed = parley.state === "closed";
	// Nobody needs to hear that all is well.
	const text = isClosed && isRejected
		? token ? "The gateway doesn't accept this token." : "This gateway asks for an access token. The command “parley token” makes one."
		: (parley.advice !== WORDS.connecting && parley.advice) || problem;
	if (text !== $("advice").textContent && text) announce(text);
	$("advice").textContent = text;
	$("notice").hidden = !text;
	$("reconnect").hidden = !isClosed || isRejected;
	const wasHidden = $("sign-in").hidden;
	$("sign-in").hidden = !(isClosed && isRejected);
	if (wasHidden && !$("sign-in").hidden) $("token").focus();
	markWaiting();
	updateStop();
}

on("state", ({ state, error }) => {
	if (state === "closed") isRejected = error?.class === "auth" && error.strategy === "refresh";
	showState();
});
on("advice", showState);
on("error", ({ error }) => {
	if (error.words === "microphone" || error.words === "speaker") problem = error.text;
	showState();
});
on("session", showState);

/** On a phone, the panel takes the place of the conversation. */
function showPanel(isShown) {
	document.body.classList.toggle("panel", isShown);
	$("toggle").ariaExpanded = String(isShown);
}

async function cutNetwork() {
	const button = $("cut");
	if (isCut) return;
	const cutAt = performance.now();
	isCut = true;
	button.ariaDisabled = "true";
	showPanel(false);
	const event = append(make("p", "event"));
	for (const cable of [...cables]) cable.cut();
	for (let left = CUT_MS / 1000; left > 0; left--) {
		button.textContent = event.textContent = `The network is cut: ${left} s`;
		await new Promise((resolve) => setTimeout(resolve, 1000));
	}
	isCut = false;
	button.ariaDisabled = "false";
	button.textContent = `Cut the network for ${CUT_MS / 1000} s`;
	event.textContent = "The network was cut";
	// The resumed session doesn't need what is left of the cut connections.
	for (const { dead, socket } of cables) if (dead) setTimeout(() => socket.close(), 5000);
	const { queued } = parley.stats();
	const session = new Promise((resolve) => parley.addEventListener("session", ({ detail }) => resolve(detail), { once: true }));
	// Browsers tell that a network is back by the event `online`; this one has to be told.
	parley.reconnect();
	const { resumed, lost } = await session;
	const waiting = ["", "Your message was sent. "][queued] ?? `Your ${queued} messages were sent. `;
	const text = `Back after ${seconds(performance.now() - cutAt)}${resumed && !lost ? `. ${waiting}Nothing was lost.` : ", with a new conversation."}`;
	append(make("p", "event", text));
	announce(text);
}

const STATISTICS = {
	messagesSent: "Messages sent", messagesReceived: "Messages received", bytesSent: "Sent", bytesReceived: "Received", resent: "Sent again",
	duplicates: "Duplicates dropped", reconnects: "Reconnected", resumes: "Resumed", queued: "Waiting to be sent", pending: "Answers in progress",
	rttMs: "Round trip", jitterMs: "Jitter", lostPongs: "Lost pongs",
};

function showStatistics() {
	if (!$("stats").parentElement.open) return;
	const stats = parley.stats();
	$("stats").replaceChildren(...Object.entries(STATISTICS).flatMap(([key, label]) => {
		const value = stats[key];
		const text = key.endsWith("Ms") ? duration(Math.max(0, value)) : key.startsWith("bytes") ? `${(value / 1000).toFixed(1)} KB` : value;
		return [make("dt", "", label), make("dd", "", text)];
	}));
}

// What people do

$("composer").onsubmit = (event) => {
	event.preventDefault();
	const text = $("text").value.trim();
	$("text").value = "";
	if (text) ask(text);
};
$("text").onkeydown = (event) => {
	// While an input method composes, Enter selects a word.
	if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
	event.preventDefault();
	$("composer").requestSubmit();
};
$("text").oninput = () => parley.typing();
$("ideas").onclick = ({ target }) => target.localName === "button" && ask(target.textContent);
$("mic").onclick = () => {
	if (!listening) return void listen();
	wasStopped = true;
	listening.stop();
};
$("stop").onclick = () => {
	stop();
	$("text").focus();
};
$("cut").onclick = () => void cutNetwork();
$("reconnect").onclick = () => parley.reconnect();
$("sign-in").onsubmit = (event) => {
	event.preventDefault();
	token = $("token").value.trim();
	$("token").value = "";
	parley.reconnect();
	$("text").focus();
};
$("toggle").onclick = () => showPanel(!document.body.classList.contains("panel"));
document.onkeydown = ({ key }) => {
	if (key === "Escape" && !$("stop").hidden) stop();
};
$("stats").parentElement.ontoggle = showStatistics;
on("stats", showStatistics);
setInterval(showStatistics, 1000);
if (!isTouch) $("text").focus();
$("sound-hint").textContent = TALK;
showMicrophone();
showState();
