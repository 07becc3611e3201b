// SPDX-License-Identifier: Apache-2.0
/**
 * The audio of `parley.js`: microphone, playback, and the two processors of the AudioWorklet, which this file registers when it is loaded as
 * a worklet module. `parley.js` imports it when audio is used first.
 *
 * @typedef {import("./internal").Host} Host
 * @typedef {import("./internal").Request} Request
 * @typedef {import("./parley").AudioFormat} AudioFormat
 * @typedef {import("./parley").ListenOptions} ListenOptions
 */

/** The stream of a recording: keeps each chunk until the gateway has accepted it, and continues after a new connection. */
export class Upload {
	/**
	 * @param {Host} host
	 * @param {Request} request
	 * @param {AudioFormat} format
	 */
	constructor(host, request, { codec, rate, channels = 1 }) {
		this.host = host;
		this.request = request;
		request.audio = this;
		const samples = { pcm16: 2, mulaw: 1, alaw: 1 }[/** @type {"pcm16"} */ (codec)];
		/** Bytes of a millisecond; 0 if packets have any length. */
		this.bytesPerMs = samples ? (samples * rate * channels) / 1000 : 0;
		/** @type {Uint8Array[]} the first has the number `base` + 1 */
		this.chunks = [];
		this.base = 0;
		/** The number of the chunk to send next. */
		this.next = 1;
		this.ended = false;
		this.endSent = false;
		/** Whether `from` must precede the next chunk. */
		this.from = false;
		/** Whether the gateway has no such stream any more, although its end wasn't sent. */
		this.doubtful = false;
		/** Nothing is sent before this time. */
		this.hold = 0;
		this.keptMs = 0;
		this.pumpedAt = host.now();
		/** Wakes a source that waits. */
		this.room = () => {};
	}

	/** Whether the stream is open, or has something to open it for. */
	get isBusy() {
		return !this.endSent && (this.request.sent || this.chunks.length > 0);
	}

	/** @param {Uint8Array} chunk */
	ms(chunk) {
		return this.bytesPerMs ? chunk.length / this.bytesPerMs : 20;
	}

	/** @param {Uint8Array} chunk */
	add(chunk) {
		if (this.ended || this.request.reply.ended) return;
		this.chunks.push(chunk);
		this.keptMs += this.ms(chunk);
		// The oldest would have to go, and a recording with a hole is worth nothing.
		if (this.keptMs > this.host.maxAudioMs()) this.host.fail(this.request, "audio_dropped");
		else this.host.pump();
	}

	/** Sends what may be sent now. Returns the milliseconds until more may be; 0 if none waits. */
	pump() {
		const { host, request } = this;
		const { pace } = host;
		const now = host.now();
		this.pumpedAt = now;
		if (this.hold > now) return this.hold - now;
		if (!request.sent) {
			if (!host.transmit(request)) return 0;
			this.next = 1;
		}
		if (this.from && !host.write({ type: "audio", id: request.id, from: this.next })) return 0;
		this.from = false;
		// A little slower than the gateway allows, which is a burst of 5 s: a rejected chunk costs a round trip.
		const factor = 0.95 * (host.limits()["limits.audio_realtime_factor"] ?? 1e6);
		if (now > pace.at) {
			pace.level = Math.max(Math.min(pace.level, 0), pace.level - (now - pace.at) * factor);
			pace.at = now;
		}
		while (this.next <= this.base + this.chunks.length) {
			const early = pace.level - 4000 + pace.at - now;
			if (early > 0) return early / factor + 1;
			if (host.buffered() > 1 << 18) return 50;
			const chunk = this.chunks[this.next - 1 - this.base];
			if (!host.write(chunk)) return 0;
			this.next++;
			pace.level += this.ms(chunk);
		}
		if (this.ended) this.endSent = host.write({ type: "audio", id: request.id, final: true });
		return 0;
	}

	/** @param {any} ack */
	accept({ duplicate, chunks }) {
		// A repeated opening of a recording that is complete.
		if (duplicate && chunks === undefined) this.endSent = true;
		const gone = this.chunks.splice(0, Math.max(0, (chunks ?? 0) - this.base));
		this.base += gone.length;
		for (const chunk of gone) this.keptMs -= this.ms(chunk);
		this.room();
	}

	/**
	 * Prepares for a new connection.
	 *
	 * @param {number | null} chunks those the gateway has accepted of the open stream; null if it isn't open
	 */
	resume(chunks) {
		this.hold = 0;
		this.from = chunks !== null;
		if (chunks !== null) {
			this.request.acked = this.request.sent = true;
			this.accept({ chunks });
			this.next = this.base + 1;
			this.endSent = false;
			// The gateway adds the outage to the burst, up to 30 s.
			this.host.pace.level -= Math.min(30000, this.host.now() - this.pumpedAt) * 0.95;
		} else if (!this.request.acked) {
			// If the gateway has it after all, the `ack` of the repeated opening says so.
			this.endSent = false;
		} else {
			this.request.sent = true;
			// Its end may be among the messages that follow; the first pong comes after them.
			this.doubtful = !this.endSent;
			this.endSent = true;
		}
	}

	/**
	 * @param {number | undefined} chunk that was rejected; undefined if the opening was
	 * @param {number} until when to try again
	 */
	reject(chunk, until) {
		this.endSent = false;
		this.hold = until;
		if (!chunk) {
			this.request.sent = false;
			return;
		}
		this.next = Math.max(chunk, this.base + 1);
		this.from = true;
		this.host.pace.level = 4000;
		this.host.pace.at = until;
	}
}

/**
 * Sends the utterances of a microphone or source; returns when the last one has ended.
 *
 * @param {Host} host
 * @param {Sound} sound
 * @param {{listening: any, request: Request, begin: () => Request, format: AudioFormat, options: ListenOptions}} about
 */
export async function run(host, sound, { listening, request, begin, format, options }) {
	let upload = new Upload(host, request, format);
	let hasAudio = false;
	let finish = () => {};
	/** @type {Promise<null>} resolves when no more utterances follow */
	const finished = new Promise((resolve) => (finish = () => resolve(null)));
	const follow = async () => {
		const { reply } = upload.request;
		try {
			for await (const transcript of reply._transcripts) listening._feed.push({ id: reply.id, ...transcript });
		} catch {
			// The reply has the error.
		}
		if (reply !== listening.reply) return;
		// The response ended before the utterance: it failed or was cancelled.
		if (listening.state !== "ended" && reply.status !== "done") end(true);
		if (listening.state === "ended") listening._feed.end(reply.error);
	};
	/** @param {boolean} more whether another utterance may follow */
	const end = (more) => {
		if (listening.state === "ended") return;
		const ended = upload;
		ended.ended = true;
		sound.release(ended.request.id);
		if (hasAudio) host.emit("utterance", { listening, reply: ended.request.reply });
		else ended.request.reply.cancel();
		hasAudio = false;
		listening.state = "ended";
		if (more && options.continuous) {
			upload = new Upload(host, begin(), format);
			listening.reply = upload.request.reply;
			// A client that was closed in the meantime rejects the utterance.
			if (!listening.reply.ended) listening.state = "waiting";
			void follow();
		}
		if (listening.state === "ended") finish();
		host.pump();
	};
	/** @param {Uint8Array} chunk */
	const send = (chunk) => {
		hasAudio = true;
		upload.add(chunk);
	};
	listening.stop = () => end(false);
	listening.close = () => {
		if (listening.state !== "ended") upload.request.reply.cancel();
		end(false);
		listening._feed.end(null);
	};
	// It was stopped, or the client closed, while this module was loaded.
	if (upload.request.reply.ended) end(false);
	void follow();
	if (listening.state === "ended") return;
	if (options.source) {
		listening.state = "speaking";
		return void (await Promise.race([finished, readSource(options.source)]));
	}
	/** @type {Uint8Array[]} what precedes the recognition of speech, up to 300 ms */
	let before = [];
	/** @param {{pcm: Uint8Array, level: number, speech: boolean}} frame */
	const receive = ({ pcm, level, speech }) => {
		if (listening.state === "ended") return;
		listening.level = level;
		const speaks = speech || options.vad === false;
		if (upload.request.reply.ended || (hasAudio && !speaks)) return end(true);
		if (!hasAudio && !speaks) {
			before.push(pcm);
			if (before.length > 15) before.shift();
			return;
		}
		if (!hasAudio) {
			listening.state = "speaking";
			if (sound.playing.size && options.bargeIn !== false) host.interrupt();
			// Loudspeakers would disturb the microphone.
			sound.hold(upload.request.id);
			host.emit("speech", { listening, reply: upload.request.reply });
			for (const early of before) send(early);
			before = [];
		}
		send(pcm);
	};
	const microphone = await sound.capture(options, format.rate, receive);
	if (listening.state === "starting") listening.state = "waiting";
	await finished;
	microphone.close();

	/** @param {AsyncIterable<ArrayBufferView>} source */
	async function readSource(source) {
		const size = Math.ceil(upload.bytesPerMs * 20);
		let kept = new Uint8Array(0);
		for await (const part of source) {
			if (listening.state === "ended") return;
			kept = joined(kept, new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
			// Chunks of 20 ms: smaller ones would exceed the gateway's limit of chunks, larger ones its limit of bytes. Packets stay whole.
			while (kept.length && kept.length >= size) {
				const chunk = kept.slice(0, size || kept.length);
				kept = kept.slice(chunk.length);
				send(chunk);
				// Read no faster than the gateway accepts.
				while (!upload.request.reply.ended && upload.keptMs > host.maxAudioMs() / 3) {
					await new Promise((resolve) => (upload.room = () => resolve(null)));
				}
			}
			if (upload.request.reply.ended) break;
		}
		if (kept.length) send(kept);
		end(false);
	}
}

/**
 * @param {Uint8Array} first
 * @param {Uint8Array} second
 */
function joined(first, second) {
	const bytes = new Uint8Array(first.length + second.length);
	bytes.set(first);
	bytes.set(second, first.length);
	return bytes;
}

/**
 * Decodes samples to mono floats.
 *
 * @param {AudioFormat} format
 * @param {Uint8Array} bytes whole samples
 */
export function decode({ codec, channels = 1 }, bytes) {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	/** @param {number} n */
	const sample = (n) => {
		if (codec === "pcm16") return view.getInt16(2 * n, true) / 32768;
		// ITU-T G.711.
		const byte = codec === "mulaw" ? ~bytes[n] & 255 : bytes[n] ^ 0x55;
		const [exponent, mantissa] = [(byte >> 4) & 7, byte & 15];
		if (codec === "mulaw") return ((((mantissa << 3) + 132) << exponent) - 132) * (byte & 128 ? -1 : 1) / 32768;
		const value = exponent ? ((mantissa << 4) + 264) << (exponent - 1) : (mantissa << 4) + 8;
		return (value * (byte & 128 ? 1 : -1)) / 32768;
	};
	const samples = new Float32Array(Math.floor(bytes.length / (codec === "pcm16" ? 2 : 1) / channels));
	for (let n = 0; n < samples.length; n++) {
		for (let channel = 0; channel < channels; channel++) samples[n] += sample(n * channels + channel) / channels;
	}
	return samples;
}

/** Microphone and speaker: one AudioContext with the processors of this file. */
export class Sound {
	/**
	 * @param {string} url of this file
	 * @param {{failed(cause: unknown): void, suspended(): void, played(detail: any): void}} events
	 */
	constructor(url, events) {
		this.url = url;
		this.events = events;
		/** @type {Map<string, {reply: any, ms: number, carry: Uint8Array}>} responses that are being played, or wait for it */
		this.playing = new Map();
		/** @type {Set<string>} responses whose chunks are dropped */
		this.dropped = new Set();
		/** @type {Map<string, any[]>} messages to the player about responses that begin before the user has finished */
		this.held = new Map();
		/** @type {AudioContext | null} */
		this.context = null;
		/** @type {Promise<AudioWorkletNode> | null} */
		this.player = null;
		/** @type {((played: any) => void) | null} */
		this.stopped = null;
	}

	/** Browsers start an AudioContext only after the user has done something: `say` and `listen` are usually called then. */
	unlock() {
		if (this.context?.state === "suspended") this.context.resume().catch(() => {});
	}

	async ready() {
		if (!this.context) {
			this.context = new AudioContext();
			this.loaded = this.context.audioWorklet.addModule(this.url);
		}
		await this.loaded;
		this.unlock();
		return this.context;
	}

	output() {
		this.player ??= this.ready().then((context) => {
			const node = new AudioWorkletNode(context, "parley-player", { numberOfInputs: 0, outputChannelCount: [1] });
			node.connect(context.destination);
			node.port.onmessage = ({ data }) => this.report(data);
			return node;
		});
		return this.player;
	}

	/** @param {any} data a message of the player */
	report(data) {
		if (data.stopped) return this.stopped?.(data.stopped);
		const item = this.playing.get(data.id);
		if (!item) return;
		item.ms = item.reply.playedMs = data.ms;
		if (!data.done) return;
		this.playing.delete(data.id);
		this.events.played({ id: data.id, reply: item.reply, playedMs: data.ms });
	}

	/** @param {any} message to the player */
	post(message) {
		const held = this.held.get(message.id);
		if (held) return void held.push(message);
		this.output().then(
			(node) => node.port.postMessage(message),
			(cause) => {
				// Reported once for each response.
				if (this.playing.size) this.events.failed(cause);
				this.playing.clear();
			},
		);
	}

	/**
	 * @param {string} id
	 * @param {any} reply
	 * @param {AudioFormat} format
	 * @param {Uint8Array} chunk
	 */
	play(id, reply, format, chunk) {
		if (this.dropped.has(id)) return;
		const item = this.playing.get(id) ?? { reply, ms: 0, carry: new Uint8Array(0) };
		this.playing.set(id, item);
		// Samples may span chunks.
		const bytes = joined(item.carry, chunk);
		const whole = bytes.length - (bytes.length % ((format.codec === "pcm16" ? 2 : 1) * (format.channels ?? 1)));
		item.carry = bytes.slice(whole);
		this.post({ id, rate: format.rate, samples: decode(format, bytes.subarray(0, whole)) });
		if (this.context?.state === "suspended") this.events.suspended();
	}

	/** @param {string} id of a response that is complete */
	end(id) {
		if (this.playing.has(id)) this.post({ id, end: true });
	}

	/** @param {string} id of a response that is not to be played yet */
	hold(id) {
		this.held.set(id, []);
	}

	/** @param {string} id of a response that may be played now */
	release(id) {
		const messages = this.held.get(id) ?? [];
		this.held.delete(id);
		for (const message of messages) this.post(message);
	}

	/** @param {string} id of a response that is to be silent */
	drop(id) {
		this.dropped.add(id);
		if (this.dropped.size > 100) for (const oldest of [...this.dropped].slice(0, 1)) this.dropped.delete(oldest);
		this.held.delete(id);
		if (this.playing.delete(id)) this.post({ drop: id });
	}

	/** Stops playback, and returns what was played of each response. */
	async stop() {
		const items = new Map(this.playing);
		for (const id of items.keys()) this.dropped.add(id);
		this.playing.clear();
		this.held.clear();
		if (!items.size) return items;
		/** @type {{[id: string]: number}} */
		const exact = await new Promise((resolve) => {
			this.stopped = resolve;
			this.post({ stop: true });
			// A suspended context doesn't answer; then the last report is right.
			setTimeout(() => resolve({}), 150);
		});
		for (const [id, item] of items) item.ms = exact[id] ?? item.ms;
		return items;
	}

	/**
	 * @param {ListenOptions} options
	 * @param {number} rate
	 * @param {(frame: {pcm: Uint8Array, level: number, speech: boolean}) => void} receive
	 */
	async capture(options, rate, receive) {
		const audio = { echoCancellation: true, noiseSuppression: true, autoGainControl: true, channelCount: 1 };
		const stream = options.stream ?? (await navigator.mediaDevices.getUserMedia({ audio }));
		const stop = () => options.stream ?? stream.getTracks().forEach((track) => track.stop());
		try {
			const context = await this.ready();
			const source = context.createMediaStreamSource(stream);
			const processorOptions = { rate, silenceMs: options.silenceMs ?? 700, threshold: options.threshold ?? 0.01 };
			const node = new AudioWorkletNode(context, "parley-capture", { numberOfOutputs: 0, processorOptions });
			node.port.onmessage = ({ data }) => receive(data);
			source.connect(node);
			return {
				close() {
					node.port.onmessage = null;
					node.port.postMessage("close");
					source.disconnect();
					stop();
				},
			};
		} catch (error) {
			stop();
			throw error;
		}
	}

	close() {
		this.context?.close().catch(() => {});
		this.context = this.player = null;
		this.playing.clear();
		this.held.clear();
	}
}

/** Converts a stream of samples to another rate with a windowed sinc, which also removes the frequencies that the new rate can't hold. */
export class Resampler {
	/**
	 * @param {number} from
	 * @param {number} to
	 */
	constructor(from, to) {
		this.step = from / to;
		this.cutoff = Math.min(1, to / from) * 0.95;
		/** Samples on each side: eight zero crossings. */
		this.half = Math.ceil(8 / this.cutoff);
		this.kept = new Float32Array(this.half);
		/** The position of the next output sample in `kept`. */
		this.at = this.half;
	}

	/** @param {Float32Array} samples */
	push(samples) {
		if (this.step === 1) return samples;
		const all = new Float32Array(this.kept.length + samples.length);
		all.set(this.kept);
		all.set(samples, this.kept.length);
		const result = [];
		for (; this.at + this.half < all.length; this.at += this.step) {
			let [sum, weight] = [0, 0];
			for (let n = Math.ceil(this.at - this.half); n <= this.at + this.half; n++) {
				const x = (n - this.at) * this.cutoff;
				const window = 0.5 + 0.5 * Math.cos((Math.PI * (n - this.at)) / (this.half + 1));
				const factor = (x ? Math.sin(Math.PI * x) / (Math.PI * x) : 1) * window;
				sum += factor * all[n];
				weight += factor;
			}
			result.push(sum / weight);
		}
		const first = Math.max(0, Math.floor(this.at) - this.half);
		this.kept = all.slice(first);
		this.at -= first;
		return Float32Array.from(result);
	}
}

/** Recognizes speech by its energy: frames of 20 ms that are louder than the noise, which is tracked. */
export class Vad {
	/**
	 * @param {number} threshold the lowest level (RMS, 0 to 1) of speech
	 * @param {number} silenceMs silence that ends an utterance
	 */
	constructor(threshold, silenceMs) {
		this.threshold = threshold;
		this.silence = silenceMs / 20;
		this.noise = threshold / 3;
		this.loud = this.quiet = 0;
		this.speech = false;
	}

	/** @param {number} level of the next frame */
	push(level) {
		const isLoud = level > Math.max(this.threshold, this.noise * 3);
		// Falls fast and rises slowly, in speech hardly at all.
		this.noise += (level - this.noise) * (level < this.noise ? 0.2 : isLoud || this.speech ? 0.0005 : 0.02);
		this.loud = isLoud ? this.loud + 1 : 0;
		this.quiet = isLoud ? 0 : this.quiet + 1;
		// 80 ms of sound begin an utterance; a click doesn't.
		if (this.loud >= 4) this.speech = true;
		if (this.quiet >= this.silence) this.speech = false;
		return this.speech;
	}
}

const scope = /** @type {any} */ (globalThis);
if (typeof scope.registerProcessor === "function") {
	/** Cuts the microphone into frames of 20 ms of pcm16. */
	class Capture extends scope.AudioWorkletProcessor {
		/** @param {any} options */
		constructor({ processorOptions: { rate, threshold, silenceMs } }) {
			super();
			this.resampler = new Resampler(scope.sampleRate, rate);
			this.vad = new Vad(threshold, silenceMs);
			this.frame = new Int16Array(rate / 50);
			this.count = 0;
			this.sum = 0;
			this.isOpen = true;
			this.port.onmessage = () => (this.isOpen = false);
		}

		/** @param {Float32Array[][]} inputs */
		process([input]) {
			if (!input?.length) return this.isOpen;
			for (const sample of this.resampler.push(input[0].slice())) {
				this.frame[this.count++] = Math.max(-1, Math.min(1, sample)) * 32767;
				this.sum += sample * sample;
				if (this.count < this.frame.length) continue;
				const level = Math.sqrt(this.sum / this.count);
				this.port.postMessage({ pcm: new Uint8Array(this.frame.slice().buffer), level, speech: this.vad.push(level) });
				this.count = this.sum = 0;
			}
			return this.isOpen;
		}
	}
	scope.registerProcessor("parley-capture", Capture);

	/** Plays responses one after the other, each from a jitter buffer, and counts the samples that were played. */
	class Player extends scope.AudioWorkletProcessor {
		constructor() {
			super();
			/** @type {any[]} */
			this.queue = [];
			/** Samples that are buffered before playback begins. */
			this.target = 0.1 * scope.sampleRate;
			this.sinceReport = 0;
			this.port.onmessage = (/** @type {any} */ { data }) => this.receive(data);
		}

		/** @param {any} message */
		receive({ id, samples, rate, end, drop, stop }) {
			if (stop) {
				const played = this.queue.map((item) => [item.id, this.ms(item)]);
				this.queue = [];
				return this.port.postMessage({ stopped: Object.fromEntries(played) });
			}
			if (drop) return void (this.queue = this.queue.filter((item) => item.id !== drop));
			let item = this.queue.find((other) => other.id === id);
			if (!item && end) return;
			if (!item) {
				item = { id, parts: [], offset: 0, buffered: 0, played: 0, resampler: new Resampler(rate, scope.sampleRate) };
				this.queue.push(item);
			}
			if (item.ended) return;
			// Silence pushes the last samples out of the resampler.
			const more = item.resampler.push(end ? new Float32Array(item.resampler.half) : samples);
			item.parts.push(more);
			item.buffered += more.length;
			item.ended = end;
		}

		/** @param {any} item */
		ms(item) {
			return (item.played * 1000) / scope.sampleRate;
		}

		/**
		 * @param {Float32Array[][]} _
		 * @param {Float32Array[][]} outputs
		 */
		process(_, [[out]]) {
			const item = this.queue[0];
			if (!item || (!item.started && item.buffered < this.target && !item.ended)) return true;
			item.started = true;
			let filled = 0;
			while (filled < out.length && item.parts.length) {
				const part = item.parts[0].subarray(item.offset, item.offset + out.length - filled);
				out.set(part, filled);
				filled += part.length;
				item.offset += part.length;
				if (item.offset < item.parts[0].length) continue;
				item.parts.shift();
				item.offset = 0;
			}
			item.buffered -= filled;
			item.played += filled;
			const isDone = item.ended && !item.buffered;
			if (isDone) this.queue.shift();
			else if (filled < out.length) {
				// The rest came too late: from now on more is buffered.
				item.started = false;
				this.target = Math.min(this.target * 1.5, 0.4 * scope.sampleRate);
			}
			this.sinceReport += out.length;
			if (isDone || this.sinceReport > scope.sampleRate / 20) {
				this.sinceReport = 0;
				this.port.postMessage({ id: item.id, ms: this.ms(item), done: isDone });
			}
			return true;
		}
	}
	scope.registerProcessor("parley-player", Player);
}
