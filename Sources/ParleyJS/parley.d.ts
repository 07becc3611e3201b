// SPDX-License-Identifier: Apache-2.0

/** `idle` before the first attempt; `waiting` between attempts; `offline` while the browser says so. */
export type State = "idle" | "connecting" | "open" | "waiting" | "offline" | "closed";
export type ErrorClass = "network" | "auth" | "server" | "protocol" | "policy";
/**
 * What the client does by itself: `none`; `resend` the message under its id; `reconnect` at once or after a `backoff`, and resume; `refresh`
 * the token once; begin a `new_session`; `stop` until `reconnect()` is called.
 */
export type Strategy = "none" | "resend" | "reconnect" | "backoff" | "refresh" | "new_session" | "stop";

/** The meaning of each error code, close code and HTTP status of a failed upgrade, and of the client's own codes. */
export const CODES: { [code: string]: { class: ErrorClass; strategy: Strategy; words: string } };
/** English texts for people, by key. `{seconds}` is a placeholder. */
export const WORDS: { [key: string]: string };

/** A message of the protocol, as on the wire. */
export interface Message {
  type: string;
  seq?: number;
  [field: string]: any;
}

export interface AudioFormat {
  codec: "pcm16" | "mulaw" | "alaw" | "opus" | "ogg_opus" | "webm_opus" | "mp4_aac" | (string & {});
  /** 8000 to 48000. */
  rate: number;
  channels?: number;
}

export interface Output {
  modalities?: ("text" | "audio")[];
  format?: AudioFormat;
  voice?: string;
}

/** The time as the client sees it; tests replace it. */
export interface Clock {
  /** Milliseconds that no change of the clock affects. */
  now(): number;
  /** Milliseconds of the wall clock, to notice that the computer slept. */
  wall(): number;
  /** 0 up to, not including, 1. */
  random(): number;
  setTimeout(run: () => void, ms: number): any;
  clearTimeout(timer: any): void;
}

export interface Options {
  /** The bearer token, or a function that returns a fresh one. It is called before each connection and when the token expires. */
  token?: string | (() => string | null | undefined | Promise<string | null | undefined>);
  /** False: `connect()`, not the constructor, begins the first connection. */
  connect?: boolean;
  /** Keeps the resume token when the page is reloaded, for example `sessionStorage`. */
  storage?: Pick<Storage, "getItem" | "setItem" | "removeItem">;
  /** The class of the connection, for example that of the package `ws` in Node.js. */
  WebSocket?: any;
  /** Where `parley-audio.js` is, if it isn't beside `parley.js`. */
  audioUrl?: string | URL;
  /** Whether spoken responses are played (true). Otherwise `reply.audio` has them. */
  play?: boolean;
  /** Translations of `WORDS`. */
  words?: { [key: string]: string };
  /** Messages without an `ack` that may wait (100), and their bytes (1 MB). */
  maxQueue?: number;
  maxQueueBytes?: number;
  /** Audio that is kept until the gateway accepts it (30 s). */
  maxAudioMs?: number;
  /** The first limit of the random delay (250 ms), which doubles up to the cap (30 s), and the number of attempts (10). */
  backoffMs?: number;
  backoffCapMs?: number;
  maxAttempts?: number;
  /** A connection this old clears the count of attempts (60 s); each tenth takes one off. */
  stableMs?: number;
  connectTimeoutMs?: number;
  /** The longest time between two pings (30 s), and the time for a pong (5 s). */
  heartbeatMs?: number;
  pongTimeoutMs?: number;
  /** Called for each message in either direction. */
  trace?: (direction: "in" | "out", data: string | Uint8Array | ArrayBuffer) => void;
  clock?: Clock;
}

export interface SayOptions {
  /** The form of the response. "audio" means text and speech of pcm16 at 24 kHz. */
  output?: "audio" | Output;
  lang?: string;
  meta?: { [key: string]: string };
  /** False: the response in one piece. */
  stream?: boolean;
  play?: boolean;
}

export interface ListenOptions {
  /** Becomes `meta.route`. */
  route?: string;
  output?: "audio" | Output;
  lang?: string;
  meta?: { [key: string]: string };
  play?: boolean;
  /** What the gateway gets: pcm16 at 16 kHz by default. A microphone is always mono pcm16, at the `rate`. */
  format?: Partial<AudioFormat>;
  /** Samples, or packets of another codec, in place of the microphone. */
  source?: AsyncIterable<ArrayBufferView>;
  /** A stream in place of the default microphone. */
  stream?: MediaStream;
  /** Whether speech stops a response that is being played (true). */
  bargeIn?: boolean;
  /** False: the utterance begins at once and ends with `stop()`. */
  vad?: boolean;
  /** After an utterance, wait for the next one. */
  continuous?: boolean;
  /** Silence that ends an utterance (700 ms), and the lowest level of speech (0.01). */
  silenceMs?: number;
  threshold?: number;
}

export class ParleyError extends Error {
  constructor(code: string, about?: { [name: string]: any });
  /** A key of `CODES`. */
  code: string;
  class: ErrorClass;
  strategy: Strategy;
  /** The key of `text` in `WORDS`. */
  words: string;
  /** For people. */
  text: string;
  /** Whether the same request can succeed later. */
  retryable: boolean;
  retryAfterMs: number | undefined;
  /** The gateway logs the error with it. */
  correlationId: string | undefined;
  closeCode: number | undefined;
  cause: unknown;
}

/**
 * The response to a request. Iterate it for the deltas, or await it for the complete text. It ends exactly once: complete, with an error
 * that iteration and `await` throw, or cancelled, with the text so far.
 */
export class Reply implements PromiseLike<string>, AsyncIterable<string> {
  readonly id: string;
  readonly status: "pending" | "streaming" | "done" | "error" | "cancelled";
  readonly error: ParleyError | null;
  readonly ended: boolean;
  /** The complete text. */
  readonly text: Promise<string>;
  /** The text so far. */
  readonly partial: string;
  /** The newest transcript of a recording. */
  readonly transcript: string;
  /** The spoken response, if it isn't played. */
  readonly audio: AsyncIterable<Uint8Array>;
  readonly audioFormat: AudioFormat | null;
  /** Milliseconds that were played. */
  readonly playedMs: number;
  /** Milliseconds since `begun` until sent, acknowledged, first delta, end. */
  readonly timing: { begun?: number; sentMs?: number; ackMs?: number; firstMs?: number; totalMs?: number };
  /** The last message, with `usage`, `timing` and `finish` of the gateway. */
  readonly last: { [field: string]: any } | null;
  readonly then: Promise<string>["then"];
  [Symbol.asyncIterator](): AsyncGenerator<string, void, undefined>;
  cancel(reason?: string): void;
}

/** A microphone or source. Iterate it for the transcripts. */
export class Listening implements AsyncIterable<{ id: string; text: string; final: boolean }> {
  readonly state: "starting" | "waiting" | "speaking" | "ended";
  /** The level of the microphone, 0 to 1. */
  readonly level: number;
  /** The response to the current or last utterance. */
  readonly reply: Reply;
  /** Ends the utterance; its response follows. */
  stop(): void;
  /** Turns the microphone off, and cancels an utterance that hasn't ended. */
  close(): void;
  [Symbol.asyncIterator](): AsyncGenerator<{ id: string; text: string; final: boolean }, void, undefined>;
}

export interface Stats {
  messagesSent: number;
  messagesReceived: number;
  bytesSent: number;
  bytesReceived: number;
  /** Messages that were sent again, and received ones that were dropped as duplicates. */
  resent: number;
  duplicates: number;
  /** Attempts; sessions after the first; of these, resumed ones. */
  connects: number;
  reconnects: number;
  resumes: number;
  lostPongs: number;
  /** The last round trip (−1 before the first) and the smoothed jitter of RFC 3550. */
  rttMs: number;
  jitterMs: number;
  /** Messages without an `ack`, their bytes, and requests without a complete response. */
  queued: number;
  queuedBytes: number;
  pending: number;
  attempts: number;
}

/** The `detail` of each event. */
export interface Events {
  state: { state: State; previous: State; error?: ParleyError; retryInMs?: number };
  session: { message: Message; resumed: boolean; lost: boolean };
  /** Each message of the gateway, but duplicates. */
  message: Message;
  delta: { id: string; text: string; final: boolean; reply: Reply };
  transcript: { id: string; text: string; final: boolean; reply: Reply };
  /** A chunk of a spoken response or push. */
  audio: { id: string; reply?: Reply; push?: { id: string }; format: AudioFormat; chunk: Uint8Array };
  /** A response has ended. */
  reply: { id: string; reply: Reply };
  /** A spoken response was played to its end. */
  played: { id: string; reply: Reply; playedMs: number };
  /** The user begins to speak. */
  speech: { listening: Listening; reply: Reply };
  /** The user has finished: the silence was long enough, or `stop()` was called. */
  utterance: { listening: Listening; reply: Reply };
  status: { state?: string; reply?: Reply; [field: string]: any };
  push: Message;
  /** Errors of the connection, and of messages that aren't requests. The errors of requests are in their replies. */
  error: { error: ParleyError };
  /** Text for people about the connection; empty when there is nothing more to say. */
  advice: { key: string; text: string; values?: { [name: string]: any } };
  stats: Stats;
  /** Responses that are gone: those with these ids have failed. */
  lost: { reason: string; ids: string[] };
}

export type Event = { [Type in keyof Events]: { type: Type; detail: Events[Type] } }[keyof Events];

/** A session with a gateway. */
export class Parley extends EventTarget {
  constructor(url: string | URL, options?: Options);
  readonly state: State;
  /** Advice about the connection; empty if there is none. */
  readonly advice: string;
  readonly sessionId: string | null;
  /** Whether a spoken response is being played. */
  readonly playing: boolean;
  connect(): void;
  /** Connects now, also after the client has given up. */
  reconnect(): void;
  say(text: string, options?: SayOptions): Reply;
  listen(options?: ListenOptions): Listening;
  /** Stops playback and cancels the responses in progress. Resolves with the milliseconds that were played. */
  interrupt(reason?: string): Promise<number>;
  /** Tells what the user is doing, if there is a connection. Without a state, the event `status` brings the session report. */
  status(state?: "typing" | "idle" | "recording" | "muted" | "playing", about?: { replyTo?: string; playedMs?: number }): void;
  /** Call it for each key: "typing" is sent once, and "idle" after 5 s without a call. */
  typing(): void;
  /** All events from now on; at most 1000 are kept for a slow reader. */
  events(): AsyncGenerator<Event, void, undefined>;
  stats(): Stats;
  close(): Promise<void>;
  addEventListener<Type extends keyof Events>(
    type: Type,
    listener: (event: CustomEvent<Events[Type]>) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}
