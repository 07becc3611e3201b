// SPDX-License-Identifier: Apache-2.0
/**
 * The client of Parley for browsers and Node.js: text, voice, push, and a session that survives its connections.
 *
 * See `parley.d.ts` for the interface. `parley-audio.js` is loaded with the first audio.
 *
 * @typedef {import("./parley").State} State
 * @typedef {import("./internal").Message} Message
 * @typedef {import("./internal").Connection} Connection
 * @typedef {import("./internal").Request} Request
 * @typedef {ParleyError | "done" | "cancelled"} Outcome
 */

/** Texts for people, by key; the option `words` replaces them. */
export const WORDS = {
	connecting: "Connecting …",
	reconnecting: "The connection was lost. Trying again in {seconds} s.",
	resumed: "Connected again. Nothing was lost.",
	restarted: "Connected again, but the conversation couldn't be continued.",
	offline: "You are offline.",
	offline_queued: "You are offline. Your message will be sent when you are back.",
	queued: "Your message will be sent when you are connected.",
	network: "The connection was lost. Reconnecting.",
	slow: "The connection is slow. Responses may be late.",
	unreachable: "The service can't be reached at the moment.",
	gave_up: "The service can't be reached. Check your connection and try again.",
	proxy: "The network's proxy doesn't let the connection through.",
	busy: "The service is busy. Trying again.",
	restart: "The service is restarting. Reconnecting.",
	failed: "The response failed. Please try again.",
	lost: "The response was lost. Please send your message again.",
	cancelled: "The response was cancelled.",
	sign_in: "Your sign-in isn't valid. Please sign in again.",
	not_allowed: "You aren't allowed to do this.",
	address: "The address of the service is wrong.",
	not_found: "There is nothing to do this with.",
	slow_down: "You are sending too fast. Your message will be sent in a moment.",
	violations: "The service rejected too many messages of the application.",
	quota: "Your quota is used up. Please come back later.",
	too_long: "The message is too long. Please shorten it.",
	queue_full: "Too many messages are waiting. Try again when you are connected.",
	elsewhere: "The conversation continues elsewhere. It stopped here.",
	ended: "The service ended the conversation.",
	expired: "The conversation has expired. A new one was started.",
	closed: "The conversation is closed.",
	recording: "The recording can't be used. Please record it again.",
	dropped: "The connection was away for too long. Please record it again.",
	microphone: "The microphone can't be used. Allow it in the browser.",
	speaker: "The response can't be played.",
	tap: "Click or press a key to hear the response.",
	bug: "The application and the service don't understand each other.",
};

/**
 * The class, strategy and words of each error code, close code and HTTP status.
 * @type {typeof import("./parley").CODES}
 */
export const CODES = {};
for (const row of `
protocol none bug: invalid_json invalid_message unsupported_type duplicate_id
protocol none not_found: not_found
protocol none recording: invalid_audio
protocol stop bug: invalid_upgrade header_too_large 400 405 426 431
protocol stop address: 404
protocol backoff bug: 1002 1003 1007 protocol_error
policy none too_long: message_too_large audio_too_large
policy none quota: quota_exceeded
policy none cancelled: cancelled
policy none queue_full: queue_full
policy none microphone: microphone
policy none recording: source_failed
policy none speaker: speaker
policy resend slow_down: rate_limited too_fast
policy stop too_long: 1009
policy stop violations: too_many_violations 4505
policy stop not_allowed: origin_denied
policy stop elsewhere: 4503 4504
policy stop ended: 4506 4507
policy stop closed: closed
auth refresh sign_in: unauthorized token_expired 401 4500 4501
auth stop not_allowed: forbidden 403
server none failed: upstream_unavailable upstream_timeout upstream_error internal
server none lost: lost
server resend busy: memory_limit overloaded
server backoff busy: connection_limit session_limit 429 503 1013
server backoff network: 500 1000 1011
server backoff restart: draining
server reconnect network: 1001 4003
server reconnect restart: 1012
server new_session expired: session_expired 4502
network none dropped: audio_dropped
network backoff network: 1006
network backoff unreachable: 408 connect_failed connect_timeout
network backoff sign_in: token_failed
network backoff proxy: 407 502 504
network backoff offline: offline
network reconnect network: heartbeat_timeout 4001 pong_timeout
network reconnect slow: slow_consumer 4002
network stop gave_up: gave_up`.trim().split("\n")) {
	const [kind, strategy, words, ...codes] = /** @type {any[]} */ (row.split(/:? /));
	for (const code of codes) CODES[code] = { class: kind, strategy, words };
}

export class ParleyError extends Error {
	/** `row`: a key of `CODES`, in place of `code`. */
	constructor(code = "", /** @type {any} */ about = {}) {
		super(about.message ?? about.text ?? code);
		const row = CODES[about.row ?? code] ?? CODES.internal;
		this.name = "ParleyError";
		this.code = code;
		this.class = row.class;
		this.strategy = row.strategy;
		this.words = row.words;
		this.text = about.text ?? this.message;
		this.retryable = about.retryable ?? (row.class === "network" || row.class === "server");
		this.retryAfterMs = about.retry_after_ms;
		this.correlationId = about.correlation_id;
		this.closeCode = about.closeCode;
		this.cause = about.cause;
	}
}

/**
 * Items for any number of readers; beyond `max`, the oldest are dropped.
 *
 * @template T
 */
class Feed {
	/** @type {T[]} */
	items = [];
	base = 0;
	/** @type {unknown} */
	error = null;
	/** @type {(() => void)[]} */
	waiting = [];
	ended = false;

	constructor(max = Infinity) {
		this.max = max;
	}

	push(/** @type {T} */ item) {
		if (!this.ended && this.items.push(item) > this.max) {
			this.items.shift();
			this.base++;
		}
		for (const wake of this.waiting.splice(0)) wake();
	}

	end(/** @type {unknown} */ error) {
		if (this.ended) return;
		this.ended = true;
		this.error = error;
		for (const wake of this.waiting.splice(0)) wake();
	}

	/** @returns {AsyncGenerator<T, void, undefined>} */
	async *[Symbol.asyncIterator]() {
		for (let next = this.base; ; next++) {
			while (next >= this.base + this.items.length) {
				if (this.error) throw this.error;
				if (this.ended) return;
				await new Promise((resolve) => this.waiting.push(() => resolve(0)));
			}
			next = Math.max(next, this.base);
			yield this.items[next - this.base];
		}
	}
}

/** The response to a request. It ends exactly once. */
export class Reply {
	/** @type {"pending" | "streaming" | "done" | "error" | "cancelled"} */
	status = "pending";
	/** @type {ParleyError | null} */
	error = null;
	partial = "";
	transcript = "";
	playedMs = 0;
	/** @type {any} */
	audioFormat = null;
	audio = /** @type {Feed<Uint8Array>} */ (new Feed());
	/** @type {Message} */
	timing = {};
	/** @type {Message | null} */
	last = null;
	_feed = /** @type {Feed<string>} */ (new Feed());
	_transcripts = /** @type {Feed<any>} */ (new Feed());
	#cancel;

	constructor(id = "", /** @type {(reason?: string) => void} */ cancel = () => {}) {
		this.id = id;
		this.#cancel = cancel;
		/** @type {Promise<string>} */
		this.text = new Promise((resolve, reject) => {
			this._settle = () => (this.error ? reject(this.error) : resolve(this.partial));
		});
		// An application may only iterate.
		this.text.catch(() => {});
	}

	/** @type {Promise<string>["then"]} */
	then(fulfilled, rejected) {
		return this.text.then(fulfilled, rejected);
	}

	[Symbol.asyncIterator]() {
		return this._feed[Symbol.asyncIterator]();
	}

	get ended() {
		return this._feed.ended;
	}

	cancel(/** @type {string | undefined} */ reason) {
		if (!this.ended) this.#cancel(reason);
	}

	_end(/** @type {Outcome} */ outcome) {
		if (typeof outcome !== "string") this.error = outcome;
		this.status = typeof outcome === "string" ? outcome : "error";
		for (const feed of [this._feed, this.audio, this._transcripts]) feed.end(this.error);
		this._settle?.();
	}
}

export class Listening {
	/** @type {"starting" | "waiting" | "speaking" | "ended"} */
	state = "starting";
	level = 0;
	_feed = /** @type {Feed<any>} */ (new Feed(1000));

	constructor(/** @type {Reply} */ reply) {
		this.reply = reply;
	}

	// The audio module replaces both.
	stop = () => this.reply.cancel();
	close = () => this.reply.cancel();

	[Symbol.asyncIterator]() {
		return this._feed[Symbol.asyncIterator]();
	}
}

const DEFAULTS = {
	backoffMs: 250,
	backoffCapMs: 30000,
	maxAttempts: 10,
	stableMs: 60000,
	connectTimeoutMs: 10000,
	heartbeatMs: 30000,
	pongTimeoutMs: 5000,
	maxQueue: 100,
	maxQueueBytes: 1e6,
	maxAudioMs: 30000,
	play: true,
};

/** @type {import("./parley").Clock} */
const CLOCK = {
	now: () => performance.now(),
	wall: Date.now,
	random: Math.random,
	setTimeout: (run, ms) => setTimeout(run, ms),
	clearTimeout: (timer) => clearTimeout(timer),
};

export class Parley extends EventTarget {
	#options;
	#url;
	#clock;
	/** @type {State} */
	#state = "idle";
	#connection = /** @type {Connection | null} */ (null);
	#timers = new Map();
	/** @type {Map<string, Request>} requests in the order of `say`, each until its response ends */
	#requests = new Map();
	/** The session of each push. */
	#pushes = new Map();
	/** @type {Set<Feed<any>>} */
	#feeds = new Set();
	/** @type {Message} the last `session` message */
	#session = {};
	/** @type {string | null} the resume token */
	#token = null;
	/** @type {string | null} the one before, until the gateway has confirmed its successor */
	#before = null;
	/** The `seq` of the last message received, and of the last `ack`. */
	#last = 0;
	#acked = 0;
	#attempts = 0;
	#refreshed = false;
	#abandonedAt = -Infinity;
	#counter = 0;
	/** Texts that may wait for an `ack`: few, so that the gateway can keep their responses. */
	#window = 8;
	#hold = 0;
	#advice = "";
	/** @type {Message | null} the audio stream of the gateway */
	#inbound = null;
	#prefix = Math.random().toString(36).slice(2, 10);
	#stats = {
		messagesSent: 0, messagesReceived: 0, bytesSent: 0, bytesReceived: 0, resent: 0, duplicates: 0, connects: 0, reconnects: 0, resumes: 0,
		lostPongs: 0, rttMs: -1, jitterMs: 0,
	};
	#loading = /** @type {Promise<any> | null} */ (null);
	/** @type {any} the `Sound` of the audio module, once it is loaded */
	#sound = null;
	#watching = /** @type {AbortController | null} */ (null);
	/** @type {import("./internal").Host} */
	#host = {
		pace: { level: 0, at: 0 },
		now: () => this.#clock.now(),
		buffered: () => this.#connection?.socket?.bufferedAmount ?? 0,
		limits: () => this.#session.limits ?? {},
		maxAudioMs: () => this.#options.maxAudioMs,
		write: (message) => this.#write(message),
		transmit: (request) => this.#transmit(request),
		pump: () => this.#pump(),
		emit: (type, detail) => this.#emit(type, detail),
		interrupt: () => void this.interrupt("barge-in"),
		fail: (request, code) => this.#cancel(request, code, this.#error(code)),
	};

	constructor(/** @type {string | URL} */ url, /** @type {import("./parley").Options} */ options = {}) {
		super();
		this.#options = { ...DEFAULTS, ...options };
		this.#clock = options.clock ?? CLOCK;
		this.#url = new URL(url, globalThis.location?.href);
		this.#url.protocol = this.#url.protocol.replace("http", "ws");
		try {
			const kept = JSON.parse(options.storage?.getItem(`parley:${this.#url}`) ?? "null");
			if (kept) [this.#token, this.#before, this.#last] = [kept.token, kept.before, kept.last];
		} catch {
			// What can't be read counts as absent.
		}
		if (options.connect !== false) queueMicrotask(() => this.connect());
	}

	/** A copy, for loops that end requests. */
	get #all() {
		return [...this.#requests.values()];
	}

	/** The texts without an `ack`. */
	get #queue() {
		const texts = this.#all.filter(({ acked, isAudio, cancelled }) => !acked && !isAudio && !cancelled);
		return { queued: texts.length, queuedBytes: texts.reduce((sum, { bytes }) => sum + bytes, 0) };
	}

	get state() {
		return this.#state;
	}

	get advice() {
		return this.#advice;
	}

	get sessionId() {
		return this.#session.session_id ?? null;
	}

	get #canPlay() {
		return this.#options.play && typeof AudioContext === "function";
	}

	get playing() {
		return this.#sound?.playing.size > 0;
	}

	connect() {
		if (this.#state === "idle") this.reconnect();
	}

	reconnect() {
		this.#attempts = 0;
		this.#refreshed = false;
		this.#watch();
		this.#drop();
		this.#attempt();
	}

	say(text = "", /** @type {import("./parley").SayOptions} */ { output, lang, meta, stream, play } = {}) {
		if (!text) throw new TypeError("say() requires a text");
		this.#sound?.unlock();
		// Lone surrogates aren't valid in JSON messages.
		const wellFormed = new TextDecoder("utf-8", { ignoreBOM: true }).decode(utf8(text));
		const request = this.#request({ type: "text", text: wellFormed, output: wanted(output), lang, meta, stream }, play);
		const { maxQueue, maxQueueBytes } = this.#options;
		const { queued, queuedBytes } = this.#queue;
		if (queued > maxQueue || queuedBytes > maxQueueBytes) this.#end(request, this.#error("queue_full"));
		else {
			if (this.#state === "offline") this.#advise("offline_queued");
			if (this.#state === "waiting") this.#advise("queued");
			this.#pump();
		}
		return request.reply;
	}

	listen(/** @type {import("./parley").ListenOptions} */ options = {}) {
		this.#sound?.unlock();
		const { route, output, lang, play } = options;
		const format = { codec: "pcm16", rate: 16000, channels: 1, ...options.format };
		const meta = route ? { ...options.meta, route } : options.meta;
		const begin = () => this.#request({ type: "audio", format, output: wanted(output), lang, meta }, play);
		const request = begin();
		const listening = new Listening(request.reply);
		this.#audio()
			.then(({ run }) => run(this.#host, this.#sound, { listening, request, begin, format, options }))
			.catch((cause) => {
				// There is no microphone, or the source or module has failed.
				const error = this.#error(options.source ? "source_failed" : "microphone", { cause });
				const current = this.#requests.get(listening.reply.id);
				if (current) this.#cancel(current, error.code, error);
				listening._feed.end(error);
				this.#report(error);
			});
		return listening;
	}

	async interrupt(reason = "interrupted") {
		const stopped = this.#all.filter(({ acked, audio }) => acked && (!audio || audio.endSent));
		const played = (await this.#sound?.stop()) ?? new Map();
		for (const [id, { reply, ms }] of played) {
			reply.playedMs = ms;
			// Too late to cancel; the gateway learns how much was played.
			if (!this.#requests.has(id)) this.status("recording", { replyTo: id, playedMs: Math.round(ms) });
		}
		for (const { reply } of stopped) reply.cancel(reason);
		return Math.max(0, ...[...played.values()].map(({ ms }) => ms));
	}

	status(/** @type {string | undefined} */ state, /** @type {Message} */ { replyTo, playedMs } = {}) {
		if (this.#state === "open") this.#write({ type: "status", state, reply_to: replyTo, played_ms: playedMs });
	}

	typing() {
		if (!this.#timers.has("typing")) this.status("typing");
		this.#after("typing", 5000, () => this.status("idle"));
	}

	events() {
		const feed = /** @type {Feed<any>} */ (new Feed(1000));
		const feeds = this.#feeds.add(feed);
		return (async function* () {
			try {
				yield* feed;
			} finally {
				feeds.delete(feed);
			}
		})();
	}

	stats() {
		return { ...this.#stats, ...this.#queue, pending: this.#requests.size, attempts: this.#attempts };
	}

	async close() {
		const socket = this.#write({ type: "bye" }) ? this.#connection?.socket : undefined;
		this.#finish(this.#error("closed"), socket !== undefined);
		this.#forget();
		this.#sound?.close();
		for (const feed of this.#feeds) feed.end(null);
		if (!socket) return;
		// The gateway closes the connection, within a second.
		await new Promise((resolve) => {
			socket.onclose = resolve;
			this.#after("bye", 1000, () => resolve(0));
		});
		this.#clear("bye");
		socket.close();
	}

	// Events and timers

	#report(/** @type {ParleyError} */ error) {
		this.#emit("error", { error });
	}

	#emit(type = "", /** @type {any} */ detail) {
		this.dispatchEvent(new CustomEvent(type, { detail }));
		for (const feed of this.#feeds) feed.push({ type, detail });
	}

	#error(code = "", /** @type {any} */ about = {}) {
		return new ParleyError(code, { text: this.#text((CODES[about.row ?? code] ?? CODES.internal).words), ...about });
	}

	#text(key = "", /** @type {Message} */ values = {}) {
		const words = /** @type {Message} */ ({ ...WORDS, ...this.#options.words });
		return String(words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name]);
	}

	/** An empty key withdraws the advice. */
	#advise(key = "", values = {}) {
		const text = key && this.#text(key, values);
		if (text === this.#advice) return;
		this.#advice = text;
		this.#emit("advice", { key, text, values });
	}

	#setState(/** @type {State} */ state, about = {}) {
		if (state === this.#state && state !== "waiting") return;
		const previous = this.#state;
		this.#state = state;
		this.#emit("state", { state, previous, ...about });
	}

	#now() {
		return this.#clock.now();
	}

	/** Runs after a time, in place of an earlier timer of this name. */
	#after(name = "", ms = 0, /** @type {() => void} */ run) {
		this.#clear(name);
		const timer = this.#clock.setTimeout(() => {
			this.#timers.delete(name);
			run();
		}, ms);
		this.#timers.set(name, timer);
		// In Node.js, only waiting for a connection keeps the process alive.
		if (name === "tick" || name === "ping") timer?.unref?.();
	}

	#clear(/** @type {string[]} */ ...names) {
		for (const name of names) {
			this.#clock.clearTimeout(this.#timers.get(name));
			this.#timers.delete(name);
		}
	}

	/** Before each `ack`: what is acknowledged can't be resumed from. */
	#save() {
		const { storage } = this.#options;
		const key = `parley:${this.#url}`;
		try {
			if (this.#token) storage?.setItem(key, JSON.stringify({ token: this.#token, before: this.#before, last: this.#last }));
			else storage?.removeItem(key);
		} catch {
			// The session ends with the page.
		}
	}

	#forget() {
		this.#token = this.#before = this.#inbound = null;
		this.#last = this.#acked = 0;
		this.#save();
	}

	#unheard = (/** @type {unknown} */ cause) => this.#report(this.#error("speaker", { cause }));

	/** Runs in order, once the audio module is loaded. */
	#hear(/** @type {(sound: any) => void} */ run) {
		this.#loading?.then(() => run(this.#sound), () => {});
	}

	#audio() {
		const url = this.#options.audioUrl ?? import.meta.url.replace(/\.js(?=$|[?#])/, "-audio.js");
		this.#loading ??= import(String(url)).then((module) => {
			this.#sound ??= new module.Sound(String(url), {
				failed: this.#unheard,
				suspended: () => this.#advise("tap"),
				played: (/** @type {Message} */ detail) => this.#emit("played", detail),
			});
			return module;
		});
		return this.#loading;
	}

	// The connection

	async #attempt() {
		this.#clear("retry");
		/** @type {Connection} */
		const connection = { openedAt: 0, missed: 0, extended: 0, ping: "", pingedAt: 0 };
		this.#connection = connection;
		this.#attempts++;
		this.#setState("connecting");
		if (!this.#advice) this.#advise("connecting");
		this.#after("connect", this.#options.connectTimeoutMs, () => this.#lose("connect_timeout"));
		const { token } = this.#options;
		const protocols = ["parley.v1"];
		try {
			const jwt = typeof token === "function" ? await token() : token;
			if (jwt) protocols.push(`bearer.${jwt}`);
		} catch (cause) {
			if (this.#connection === connection) this.#lose("token_failed", { cause });
		}
		if (this.#connection !== connection) return;
		const url = new URL(this.#url);
		url.searchParams.set("errors", "inband");
		if (this.#token) {
			protocols.push(`resume.${this.#token}`);
			url.searchParams.set("last_seq", String(this.#last));
		}
		try {
			const Socket = /** @type {typeof WebSocket} */ (this.#options.WebSocket ?? globalThis.WebSocket);
			const socket = new Socket(url.href, protocols);
			connection.socket = socket;
			socket.binaryType = "arraybuffer";
			// The handlers stay: `ws` throws an error without one.
			socket.onmessage = ({ data }) => this.#connection === connection && this.#receive(connection, data);
			socket.onerror = (event) => (connection.detail = /** @type {any} */ (event).message);
			socket.onclose = ({ code, reason }) => this.#connection === connection && this.#closed(connection, code, reason);
			this.#stats.connects++;
		} catch (cause) {
			this.#lose("invalid_upgrade", { cause });
		}
	}

	#closed(/** @type {Connection} */ connection, close = 0, reason = "") {
		const fatal = connection.fatal?.error;
		// Only `ws` tells the status of a failed upgrade.
		const status = connection.session ? undefined : /response: (\d{3})/.exec(connection.detail ?? "")?.[1];
		const code = fatal?.code ?? status ?? /^[a-z_]+/.exec(reason)?.[0];
		const other = connection.session || close !== 1006 ? close : "connect_failed";
		const known = CODES[code] ? code : CODES[other] ? String(other) : "1006";
		// 4502 to 4507 determine the strategy.
		this.#lose(known, { ...fatal, row: close >= 4502 && CODES[close] ? String(close) : known, closeCode: close });
	}

	#drop(isDead = false) {
		const connection = this.#connection;
		if (!connection) return;
		this.#connection = null;
		this.#clear("connect", "ping", "pong", "ack", "goaway", "hold", "pace", "retry");
		for (const request of this.#requests.values()) request.sent = false;
		// Each tenth of a stable connection's time takes one attempt off.
		const openMs = connection.session ? this.#now() - connection.openedAt : 0;
		this.#attempts = Math.max(0, this.#attempts - Math.floor((openMs * 10) / this.#options.stableMs));
		const socket = /** @type {any} */ (connection.socket);
		if (!connection.session && socket?.readyState < 2) this.#abandonedAt = this.#now();
		// Otherwise `ws` waits 30 s for a dead peer.
		if (isDead && socket?.terminate) socket.terminate();
		else socket?.close();
	}

	/** Decides whether and when to connect again. */
	#lose(code = "", /** @type {any} */ about = {}) {
		this.#drop(/timeout/.test(code));
		const error = this.#error(code, about);
		let { strategy } = error;
		// An own attempt that was abandoned has arrived late, and taken the session over.
		if (about.closeCode === 4503 && this.#now() - this.#abandonedAt < 60000) strategy = "reconnect";
		if (strategy === "refresh") {
			// A fresh token is tried once.
			if (this.#refreshed || typeof this.#options.token !== "function") strategy = "stop";
			this.#refreshed = true;
		}
		if (strategy === "stop") return this.#finish(error);
		if (error.class !== "network") this.#report(error);
		if (strategy === "new_session") {
			this.#forget();
			this.#failAccepted(code);
		}
		const { backoffMs, backoffCapMs, maxAttempts } = this.#options;
		const isQueued = this.#queue.queued > 0;
		if (globalThis.navigator?.onLine === false) {
			this.#setState("offline", { error: this.#error("offline") });
			this.#advise(isQueued ? "offline_queued" : "offline");
			// Browsers are sometimes wrong.
			return this.#after("retry", backoffCapMs, () => this.reconnect());
		}
		if (this.#attempts >= maxAttempts) return this.#finish(this.#error("gave_up", { cause: error }));
		const delay = Math.max(about.retry_after_ms ?? 0, this.#clock.random() * Math.min(backoffCapMs, backoffMs * 2 ** this.#attempts));
		this.#setState("waiting", { error, retryInMs: Math.round(delay) });
		if (error.words !== "network" && error.words !== "unreachable") this.#advise(error.words);
		else if (delay < 1000) this.#advise(isQueued ? "queued" : error.words);
		else this.#advise("reconnecting", { seconds: Math.ceil(delay / 1000) });
		this.#after("retry", delay, () => void this.#attempt());
	}

	#finish(/** @type {ParleyError} */ error, keepsSocket = false) {
		this.#watching?.abort();
		this.#watching = null;
		if (this.#state === "closed") return;
		if (keepsSocket) this.#connection = null;
		this.#drop();
		this.#clear(...this.#timers.keys());
		this.#setState("closed", { error });
		this.#advise(error.words);
		if (error.code !== "closed") this.#report(error);
		for (const request of this.#all) this.#end(request, error);
	}

	/** Their responses are gone, or have a hole. */
	#failAccepted(reason = "") {
		const lost = this.#all.filter(({ acked }) => acked);
		for (const request of lost) this.#end(request, this.#error("lost"));
		this.#emit("lost", { reason, ids: lost.map(({ id }) => id) });
	}

	#opened(/** @type {Connection} */ connection, /** @type {Message} */ message) {
		const { resumed, lost } = message;
		const resuming = this.#token !== null;
		connection.session = true;
		connection.openedAt = this.#now();
		if (this.#before && !resumed) {
			// A late attempt of its own had the token replaced.
			[this.#token, this.#before] = [this.#before, null];
			this.#write({ type: "bye" });
			this.#drop();
			return void this.#attempt();
		}
		this.#clear("connect");
		this.#refreshed = false;
		this.#session = message;
		this.#hold = 0;
		if (this.#stats.connects > 1) this.#stats.reconnects++;
		if (resumed) this.#stats.resumes++;
		else this.#forget();
		if (lost) {
			this.#inbound = null;
			// Of those without an `ack`, the next one tells whether they were accepted before the loss.
			for (const request of this.#requests.values()) request.suspect = resumed && request.everSent;
		}
		if (resuming && (lost || !resumed)) this.#failAccepted(message.resume_error ?? "outbox");
		if (!resumed) this.#last = message.last_seq ?? 0;
		this.#before = this.#token;
		this.#token = message.resume_token ?? null;
		this.#sendAck(true);
		for (const { id, audio, cancelled } of this.#all) {
			if (!cancelled) audio?.resume(message.open_audio?.id === id ? message.open_audio.chunks : null);
			// It may have been accepted before.
			else if (resumed) this.#write(cancelled);
			else this.#requests.delete(id);
		}
		this.#setState("open");
		this.#emit("session", { message, resumed, lost });
		this.#advise(!resuming ? "" : resumed && !lost ? "resumed" : "restarted");
		this.#ping();
		this.#pump();
	}

	/** If urgent, one missing pong ends the connection, otherwise two in a row do. */
	#ping(isUrgent = false) {
		const connection = this.#connection;
		if (!connection?.session) return;
		connection.ping = this.#id("p");
		connection.pingedAt = this.#now();
		connection.heard = false;
		this.#write({ type: "ping", id: connection.ping });
		this.#clear("ping");
		const timeout = isUrgent ? Math.min(2000, this.#options.pongTimeoutMs) : this.#options.pongTimeoutMs;
		const late = () => {
			if (connection.heard && connection.extended++ < 5) {
				// Something arrives, so the pong may be queued behind it.
				connection.heard = false;
				return this.#after("pong", timeout, late);
			}
			this.#stats.lostPongs++;
			if (++connection.missed > 1 || isUrgent) this.#lose("pong_timeout");
			else this.#ping();
		};
		this.#after("pong", timeout, late);
	}

	#pong(/** @type {Connection} */ connection, /** @type {Message} */ message) {
		if (message.id !== connection.ping) return;
		// Sent after the first `ack`.
		this.#before = null;
		connection.missed = connection.extended = 0;
		this.#clear("pong");
		for (const request of this.#all) if (request.audio?.doubtful) this.#end(request, this.#error("lost"));
		const stats = this.#stats;
		const rtt = this.#now() - connection.pingedAt;
		// RFC 3550, section 6.4.1.
		if (stats.rttMs >= 0) stats.jitterMs += (Math.abs(rtt - stats.rttMs) - stats.jitterMs) / 16;
		stats.rttMs = rtt;
		this.#advise(rtt > 1500 || stats.jitterMs > 500 ? "slow" : "");
		this.#emit("stats", this.stats());
		// While something is awaited, a dead connection is noticed sooner.
		const interval = Math.min(this.#session.heartbeat_ms ?? 30000, this.#options.heartbeatMs, this.#requests.size ? 5000 : 30000);
		this.#after("ping", Math.max(interval, 100), () => this.#ping());
	}

	/** Verifies the connection, or connects without waiting. */
	#check() {
		if (this.#state === "open") this.#ping(true);
		else if (this.#state === "waiting" || this.#state === "offline") this.reconnect();
	}

	#watch() {
		if (this.#watching) return;
		this.#watching = new AbortController();
		const { signal } = this.#watching;
		const on = (/** @type {any} */ target, type = "", /** @type {(event: any) => void} */ run) =>
			target?.addEventListener?.(type, run, { signal });
		const { document, navigator, window } = globalThis;
		const check = () => this.#check();
		on(window, "online", check);
		on(window, "offline", check);
		on(/** @type {any} */ (navigator)?.connection, "change", check);
		on(document, "visibilitychange", () => document.visibilityState === "visible" && check());
		on(window, "pageshow", (event) => event.persisted && check());
		on(window, "pagehide", (event) => {
			// Without storage, only the browser's cache can bring the session back.
			if (!event.persisted && !this.#options.storage) return void this.close();
			this.#save();
			this.#drop();
			this.#setState("waiting");
		});
		// After sleep or in a frozen tab, the timer is late.
		let before = this.#clock.wall();
		const tick = () => {
			const now = this.#clock.wall();
			if (now - before > 7000) check();
			before = now;
			this.#after("tick", 2000, tick);
		};
		this.#after("tick", 2000, tick);
	}

	// Sending

	#id(kind = "") {
		return `${this.#prefix}-${kind}${++this.#counter}`;
	}

	#request(/** @type {Message} */ message, play = true) {
		const id = this.#id(message.type[0]);
		const json = JSON.stringify({ ...message, id });
		/** @type {Request} */
		const request = { id, json, bytes: utf8(json).length, isAudio: message.type === "audio", reply: null, play: play && this.#canPlay, tries: 0 };
		request.reply = new Reply(id, (reason) => this.#cancel(request, reason));
		request.reply.timing.begun = this.#now();
		this.#requests.set(id, request);
		if (this.#state === "closed") this.#end(request, this.#error("closed"));
		return request;
	}

	/** Writes to the open connection; false if there is none. */
	#write(/** @type {Message | string | Uint8Array} */ message) {
		const socket = this.#connection?.session ? this.#connection.socket : undefined;
		if (socket?.readyState !== 1) return false;
		const data = typeof message === "string" || message instanceof Uint8Array ? message : JSON.stringify(message);
		socket.send(data);
		this.#stats.messagesSent++;
		this.#stats.bytesSent += data.length;
		this.#options.trace?.("out", data);
		return true;
	}

	#sendAck(always = false) {
		this.#clear("ack");
		if (!always && this.#acked >= this.#last) return;
		this.#acked = this.#last;
		this.#save();
		this.#write({ type: "ack", seq: this.#last });
	}

	/** @returns {void} */
	#pump() {
		if (this.#state !== "open") return;
		const wait = this.#hold - this.#now();
		if (wait > 0) this.#after("hold", wait, () => this.#pump());
		let flying = this.#all.filter(({ sent, acked, isAudio }) => sent && !acked && !isAudio).length;
		for (const request of this.#requests.values()) {
			if (request.sent || request.acked || request.isAudio || request.cancelled) continue;
			// None overtakes another.
			if (wait > 0 || flying++ >= this.#window || !this.#transmit(request)) break;
		}
		for (const { audio, cancelled } of this.#requests.values()) {
			if (!audio?.isBusy || cancelled) continue;
			const ms = audio.pump();
			if (ms) this.#after("pace", Math.max(5, ms), () => this.#pump());
			// The gateway takes one stream at a time.
			if (!audio.endSent) return;
		}
	}

	#transmit(/** @type {Request} */ request) {
		if (!this.#write(request.json)) return false;
		if (request.everSent) this.#stats.resent++;
		request.sent = request.everSent = true;
		this.#time(request.reply, "sentMs");
		return true;
	}

	#cancel(/** @type {Request} */ request, /** @type {string | undefined} */ reason, /** @type {Outcome} */ outcome = "cancelled") {
		const { id, reply } = request;
		this.#hear((sound) => sound.drop(id));
		request.cancelled = { type: "cancel", id, reason, played_ms: reply.audioFormat ? Math.round(reply.playedMs) : undefined };
		this.#end(request, outcome);
		if (request.everSent) {
			// Kept until confirmed, to be sent again after a resume.
			this.#requests.set(id, request);
			this.#write(request.cancelled);
		}
		this.#pump();
	}

	#end(/** @type {Request} */ { id, reply, audio }, /** @type {Outcome} */ outcome) {
		this.#requests.delete(id);
		this.#hear((sound) => sound.end(id));
		audio?.room();
		if (reply.ended) return;
		reply._end(outcome);
		this.#emit("reply", { id, reply });
	}

	// Receiving

	#receive(/** @type {Connection} */ connection, /** @type {string | ArrayBuffer} */ data) {
		this.#stats.messagesReceived++;
		this.#stats.bytesReceived += typeof data === "string" ? data.length : data.byteLength;
		this.#options.trace?.("in", data);
		connection.heard = true;
		if (typeof data !== "string" && connection.session) return this.#receiveChunk(new Uint8Array(data));
		/** @type {Message} */
		let message = {};
		try {
			message = Object(JSON.parse(String(data)));
		} catch {
			// It has no type.
		}
		const { type, seq } = message;
		const isValid = typeof type === "string" && (seq === undefined || (Number.isSafeInteger(seq) && seq > 0));
		if (!isValid || (!connection.session && type !== "session" && type !== "error")) {
			// The resume continues after the last message that was understood.
			return this.#lose("protocol_error", { message: `Unexpected message: ${String(data).slice(0, 100)}` });
		}
		if (seq <= this.#last) return void this.#stats.duplicates++;
		if (seq) this.#count(seq);
		const request = this.#requests.get(message.reply_to ?? message.id);
		// A part of the response implies that the request was accepted.
		if (request && seq) this.#acknowledged(request);
		if (message.push) this.#receivePush(message);
		else this.#handle(connection, message, request);
		this.#emit("message", message);
		if (request && message.done) this.#complete(request, message);
	}

	#count(seq = 0) {
		this.#last = seq;
		if (seq - this.#acked >= 32) this.#sendAck();
		else if (!this.#timers.has("ack")) this.#after("ack", 500, () => this.#sendAck());
	}

	#handle(/** @type {Connection} */ connection, /** @type {Message} */ message, /** @type {Request | undefined} */ request) {
		const reply = request?.cancelled ? undefined : request?.reply;
		const { text, type } = message;
		const final = message.final === true;
		if (type === "session") return this.#opened(connection, message);
		if (type === "pong") return this.#pong(connection, message);
		if (type === "goaway") return this.#goaway(message);
		if (type === "error") return this.#handleError(connection, message, request);
		if (type === "ack" && request) {
			if (message.duplicate && request.suspect) return this.#end(request, this.#error("lost"));
			this.#acknowledged(request);
			request.audio?.accept(message);
			this.#pump();
		} else if (type === "status") {
			this.#emit("status", { ...message, reply });
		} else if (type === "audio") {
			this.#inbound = final ? null : { ...message, id: message.reply_to, play: request?.play, reply };
			if (reply) reply.audioFormat = message.format;
			if (final) this.#hear((sound) => sound.end(message.reply_to));
		} else if (reply && type === "text") {
			this.#time(reply, "firstMs");
			reply.status = "streaming";
			reply.partial += text;
			if (text) reply._feed.push(text);
			this.#emit("delta", { id: reply.id, text, final, reply });
		} else if (reply && type === "transcript") {
			reply.transcript = text;
			reply._transcripts.push({ text, final });
			this.#emit("transcript", { id: reply.id, text, final, reply });
		}
	}

	#time(/** @type {Reply} */ { timing }, name = "") {
		timing[name] ??= this.#now() - timing.begun;
	}

	#acknowledged(/** @type {Request} */ request) {
		if (request.acked) return;
		request.acked = true;
		this.#time(request.reply, "ackMs");
		if (!request.isAudio) this.#window = Math.min(8, this.#window + 1);
	}

	#complete(/** @type {Request} */ request, /** @type {Message} */ message) {
		const { reply } = request;
		reply.last = message;
		this.#time(reply, "totalMs");
		const { error, state } = message;
		this.#end(request, error ? this.#error(error.code, error) : state === "cancelled" ? state : "done");
		this.#pump();
	}

	#handleError(/** @type {Connection} */ connection, /** @type {Message} */ message, /** @type {Request | undefined} */ request) {
		const about = message.error ?? {};
		const error = this.#error(about.code, about);
		if (about.fatal) connection.fatal = message;
		if (message.done) return;
		// Repeated after the resume, it would be rejected again.
		if (about.fatal) return request && this.#end(request, error);
		if (request?.cancelled) return void this.#requests.delete(request.id);
		const wait = about.retry_after_ms ?? this.#options.backoffMs * 2 ** (request?.tries ?? 0);
		if (error.strategy !== "resend" || wait > 60000) {
			if (request) this.#end(request, error);
			return this.#report(error);
		}
		if (!request) {
			// The resume finds out which message was rejected.
			if (!about.reply_to) this.#lose(about.code, about);
			return;
		}
		const until = this.#now() + wait;
		if (++request.tries > (request.isAudio ? 100 : 10)) return this.#end(request, error);
		if (request.isAudio) request.audio?.reject(about.chunk, until);
		else {
			// One at a time: too many rejections would end the session.
			request.sent = false;
			this.#window = 1;
			this.#hold = Math.max(this.#hold, until);
		}
		this.#advise("slow_down");
		this.#pump();
	}

	#goaway(/** @type {Message} */ message) {
		const { token } = this.#options;
		const connection = this.#connection;
		if (message.reason === "token_expiring" && typeof token === "function") {
			Promise.resolve()
				.then(token)
				.then((fresh) => this.#connection === connection && this.#write({ type: "auth", token: fresh }))
				.catch((cause) => this.#report(this.#error("token_failed", { cause })));
		} else if (message.reason === "draining" || message.reason === "connection_age") {
			// At random, so that clients don't come back in one wave.
			const wait = (0.1 + 0.6 * this.#clock.random()) * (message.deadline_ms ?? 0);
			this.#after("goaway", wait, () => {
				this.#drop();
				void this.#attempt();
			});
		}
	}

	#receiveChunk(/** @type {Uint8Array} */ chunk) {
		this.#count(this.#last + 1);
		if (!this.#inbound) return;
		const { id, reply, format, push, play } = this.#inbound;
		this.#emit("audio", { id, reply, push, format, chunk });
		if (!reply || (reply.ended && !push)) return;
		if (!play || !playable(format)) reply.audio.push(chunk);
		else {
			if (!this.#loading) this.#audio().catch(this.#unheard);
			this.#hear((sound) => sound.play(id, reply, format, chunk));
		}
	}

	#receivePush(/** @type {Message} */ message) {
		const { id } = message.push;
		const session = this.#session.session_id;
		// A push that wasn't acknowledged in time is repeated in another session.
		const isKnown = (this.#pushes.get(id) ?? session) !== session;
		if (message.type === "audio") {
			const reply = this.#inbound?.id === id ? this.#inbound?.reply : new Reply(id);
			this.#inbound = message.final || isKnown ? null : { ...message, id, reply, play: this.#canPlay };
			if (message.final) this.#hear((sound) => sound.end(id));
		}
		if (isKnown) return;
		this.#pushes.set(id, session);
		if (this.#pushes.size > 500) this.#pushes.delete([...this.#pushes.keys()][0]);
		this.#emit("push", message);
	}
}

const utf8 = (text = "") => new TextEncoder().encode(text);

const wanted = (/** @type {any} */ output) =>
	output === "audio" ? { modalities: ["text", "audio"], format: { codec: "pcm16", rate: 24000, channels: 1 } } : output;

const playable = (/** @type {{codec: string}} */ format) => /^(pcm16|mulaw|alaw)$/.test(format?.codec);
