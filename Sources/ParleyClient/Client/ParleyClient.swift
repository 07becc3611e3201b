// SPDX-License-Identifier: Apache-2.0

/// A session with a Parley gateway, over any number of connections.
///
/// ```swift
/// let client = try ParleyClient("wss://gateway.example/v1/ws")
/// for try await delta in try await client.say("Hello") { print(delta, terminator: "") }
/// await client.close()
/// ```
///
/// The client connects with its first request, and from then on reconnects and resumes by itself: no message is lost or delivered twice.
/// Requests that the gateway hasn't acknowledged are sent again under their ids, and audio continues with the chunk that is missing. After ten
/// failed attempts the client gives up (``State/closed(_:)``), until ``reconnect()`` is called. All methods may be called from any task; what
/// waits is bounded (``Configuration``).
public final class ParleyClient: Sendable {
    private let core: ClientCore

    /// Prepares a client.
    ///
    /// - Parameters:
    ///   - url: a `wss:` or `ws:` URL; without a path, `/v1/ws` is requested
    ///   - configuration: the settings, which don't change later
    /// - Throws: `invalid_url` if the URL is malformed
    public init(_ url: String, configuration: Configuration = Configuration()) throws(ParleyError) {
        do throws(WebSocketURL.Fault) {
            core = ClientCore(try WebSocketURL(url, defaultPath: "/v1/ws"), configuration)
        } catch {
            throw ParleyError("invalid_url", "\(error)")
        }
    }

    deinit { core.close() }

    /// Runs `body` with a client that is closed afterwards, whether `body` returns or throws.
    public static func withClient<Result>(
        _ url: String, configuration: Configuration = Configuration(), _ body: (ParleyClient) async throws -> Result
    ) async throws -> Result {
        let client = try ParleyClient(url, configuration: configuration)
        do {
            let result = try await body(client)
            await client.close()
            return result
        } catch {
            await client.close()
            throw error
        }
    }

    // MARK: State

    public var state: State { core.current }
    /// The id of the current session; nil before the first one.
    public var sessionID: String? { core.sessionID }
    public var statistics: Statistics { core.statistics }
    /// All events from now on. Each access makes another stream; it ends when the client is closed. If more than
    /// ``Configuration/maximumEvents`` wait, the oldest are dropped.
    public var events: AsyncStream<Event> { core.events.subscribe() }

    // MARK: Connections

    /// Connects, and returns when a session is open.
    ///
    /// - Throws: if the client is closed or gives up
    public func connect() async throws(ParleyError) {
        core.perform { $0.start(now: $1) }
        while true {
            let version = core.signal.version
            switch core.current {
            case .open: return
            case .closed(let error): throw error
            case .idle, .connecting, .waiting, .offline: break
            }
            guard !Task.isCancelled else { throw ParleyError("cancelled", "the task was cancelled") }
            await core.signal.wait(after: version)
        }
    }

    /// Connects again at once, also after the client has given up. Does nothing after ``close()``.
    public func reconnect() { core.perform { $0.reconnect(now: $1) } }

    /// Tells the client whether there is a network, if the application knows: without one, the client waits for it instead of trying.
    public func setOnline(_ isOnline: Bool) { core.perform { $0.setOnline(isOnline, now: $1) } }

    /// Ends the session and everything that belongs to it. Replies that haven't ended fail with `closed`.
    public func close() async { await core.close()?.waitForEnd() }

    // MARK: Requests

    /// Sends a text.
    ///
    /// Without a connection, the text waits; while connected, a full queue suspends the caller until there is room.
    ///
    /// - Returns: the reply, as soon as the text is queued
    /// - Throws: `invalid_message` for an empty text, `message_too_large`, `queue_full` without a connection, `cancelled`, or the error with which
    ///   the client was closed
    public func say(_ text: String, options: RequestOptions = RequestOptions()) async throws(ParleyError) -> Reply {
        guard !text.isEmpty else { throw ParleyError("invalid_message", "the text is empty") }
        return try await add { id in
            Request(
                id: id,
                message: .text(
                    id: id, text: text, lang: options.language, meta: options.metadata, streams: options.streams, speaks: options.speaks),
                byteCount: text.utf8.count)
        }
    }

    /// Sends audio. The end of the source is the end of the utterance.
    ///
    /// Chunks are sent as they come, and kept until the gateway has accepted them. If more than 30 s or 8 MiB wait, the source isn't read; a live
    /// source can't wait, so its reply fails with `audio_dropped`. The source isn't read after the end of the reply. If the source throws, the reply
    /// fails with `source_failed`.
    ///
    /// - Parameters:
    ///   - source: the chunks, each of 1 byte to 1 MB
    ///   - isLive: whether the source can't wait, such as a microphone
    /// - Returns: the reply, as soon as the stream is queued
    /// - Throws: as ``say(_:options:)``
    public func listen<Source: AsyncSequence & Sendable>(
        to source: Source, format: AudioFormat = AudioFormat(), isLive: Bool = false, options: RequestOptions = RequestOptions()
    ) async throws(ParleyError) -> Reply where Source.Element == [UInt8] {
        guard let format = format.wire else { throw ParleyError("invalid_audio", "the rate or the number of channels isn't supported") }
        let reply = try await add { id in
            Request(
                id: id,
                message: .openAudio(id: id, format: format, lang: options.language, meta: options.metadata, speaks: options.speaks),
                byteCount: 0, stream: AudioStream(id: id, format: format))
        }
        let (core, id) = (core, reply.id)
        core.startSource(id) { await Self.send(source, to: id, isLive: isLive, core: core) }
        return reply
    }

    private static func send<Source: AsyncSequence & Sendable>(
        _ source: Source, to id: String, isLive: Bool, core: ClientCore
    ) async where Source.Element == [UInt8] {
        var failure: ParleyError?
        do {
            for try await chunk in source where !chunk.isEmpty {
                if chunk.count > AudioStream.maximumChunkBytes {
                    failure = ParleyError("audio_too_large", "a chunk has \(chunk.count) bytes")
                } else if isLive, core.stream(id)?.isFull == true {
                    failure = ParleyError("audio_dropped", "30 s of audio aren't accepted yet", isRetryable: true)
                } else if !isLive, await !core.waitForRoom(id) {
                    return
                }
                guard failure == nil, !Task.isCancelled else { break }
                core.perform { $0.append(chunk, to: id, now: $1) }
            }
        } catch {
            failure = ParleyError("source_failed", "\(type(of: error))")
        }
        // After the end of the reply, this has no effect.
        core.perform { $0.endStream(id, error: failure, now: $1) }
    }

    private func add(_ make: (String) -> Request) async throws(ParleyError) -> Reply {
        while true {
            let version = core.signal.version
            switch core.add(make) {
            case .success(let reply): return reply
            case .failure(let error):
                guard error.code == "queue_full", core.current == .open else { throw error }
            }
            guard !Task.isCancelled else { throw ParleyError("cancelled", "the task was cancelled") }
            await core.signal.wait(after: version)
        }
    }

    /// Cancels all replies that haven't ended, as when the user begins to speak.
    ///
    /// - Parameter playedMilliseconds: how much of the spoken response was played
    public func interrupt(playedMilliseconds: Int? = nil) {
        core.interrupt(playedMilliseconds: playedMilliseconds.map(Int64.init))
    }

    /// Reports what the user does. The report is dropped while there is no connection.
    ///
    /// - Parameters:
    ///   - reply: the reply to which ``Activity/playing`` refers
    ///   - playedMilliseconds: how much of it was played
    public func status(_ activity: Activity, reply: Reply? = nil, playedMilliseconds: Int? = nil) {
        let request = ClientRequest.activity(
            activity.rawValue, replyTo: reply?.id, playedMilliseconds: playedMilliseconds.map(Int64.init))
        core.perform { machine, _ in machine.sendNow(request) }
    }
}
