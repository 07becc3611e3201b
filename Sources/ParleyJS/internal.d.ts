// SPDX-License-Identifier: Apache-2.0
// Types that the two modules share; not part of the package's interface.


/** A message of the protocol. */
export type Message = { [name: string]: any };

/** One connection or attempt to connect. */
export interface Connection {
  socket?: WebSocket;
  /** Whether `session` has arrived. */
  session?: boolean;
  openedAt: number;
  /** The fatal error that precedes the close. */
  fatal?: Message;
  /** The text of the socket's error event. */
  detail?: string;
  /** Pongs missing in a row. */
  missed: number;
  /** How often the wait for a pong was extended. */
  extended: number;
  /** Whether something arrived since the last ping. */
  heard?: boolean;
  /** The id of the last ping, and when it was sent. */
  ping: string;
  pingedAt: number;
}

/** A request until its response ends. */
export interface Request {
  id: string;
  json: string;
  bytes: number;
  reply: any;
  play: boolean;
  /** Written to the current connection. */
  sent?: boolean;
  /** Written to any connection. */
  everSent?: boolean;
  acked?: boolean;
  /** Written before a loss: an `ack` that says `duplicate` means that its response may be gone. */
  suspect?: boolean;
  /** The `cancel` that was sent, or will be. */
  cancelled?: Message;
  /** Rejections so far. */
  tries: number;
  isAudio: boolean;
  /** The `Upload` of audio, once the audio module is loaded. */
  audio?: any;
}

/** What the audio module needs of the client. */
export interface Host {
  now(): number;
  /** The leaky bucket of the gateway's limit of audio: milliseconds in it at a time. Negative: an outage that may be made up for. */
  pace: { level: number; at: number };
  /** Bytes that the socket hasn't sent. */
  buffered(): number;
  limits(): Message;
  maxAudioMs(): number;
  /** False without an open connection. */
  write(message: Message | string | Uint8Array): boolean;
  /** Sends the opening. */
  transmit(request: Request): boolean;
  pump(): void;
  emit(type: string, detail: any): void;
  interrupt(): void;
  fail(request: Request, code: string): void;
}
