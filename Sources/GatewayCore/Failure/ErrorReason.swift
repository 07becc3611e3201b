// SPDX-License-Identifier: Apache-2.0

/// The reason for an error that clients can get: its code and its message.
///
/// The protocol page lists every reason with its cause and remedy in the table of section "Error messages"; a test compares the two.
/// The messages contain nothing that a client sent. A placeholder in braces, such as `{wait}`, is replaced by the gateway's own value in
/// ``message(_:)``.
package enum ErrorReason: String, Sendable, CaseIterable {
    // JSON syntax
    case notAnObject = "The message must be one JSON object"
    case byteOrderMark = "The message must not begin with a byte order mark"
    case trailingBytes = "Unexpected characters after the JSON object"
    case incompleteJSON = "The JSON object is incomplete"
    case unexpectedCharacter = "Unexpected character in the JSON object"
    case invalidLiteral = "Invalid JSON literal; the literals are true, false and null"
    case invalidNumber = "Invalid JSON number"
    case invalidEscape = "Invalid escape sequence in a JSON string"
    case unescapedControl = "Unescaped control character in a JSON string"
    case loneSurrogate = "Unpaired surrogate in a JSON string"
    case duplicateKey = "Duplicate key in a JSON object"
    case nestingTooDeep = "JSON nesting exceeds `messages.max_depth`"

    // Message types
    case unknownType = "Unknown message type"

    // Fields of messages
    case typeNotString = "`type` must be a string"
    case unknownField = "Unknown field"
    case invalidID = "`id` must be 1 to 64 characters of A-Z a-z 0-9 . _ : -"
    case missingID = "`id` is required"
    case notBoolean = "This field must be true or false"
    case notWholeNumber = "This field must be a whole number"
    case numberOutOfRange = "This field must be a whole number within its range"
    case invalidPlayed = "`played_ms` must be a number"
    case invalidLanguage = "`lang` must be a BCP 47 language tag of at most 64 characters"
    case metaNotObject = "`meta` must be an object of strings"
    case tooManyMetaEntries = "`meta` must have at most 16 entries"
    case invalidMetaKey = "A key of `meta` must be 1 to 64 characters of A-Z a-z 0-9 _ . -"
    case invalidMetaValue = "A value of `meta` must be a string of at most 1000 bytes"
    case formatNotObject = "`format` must be an object"
    case missingCodec = "`codec` is required and must be a string"
    case missingRate = "`rate` is required"
    case outputNotObject = "`output` must be an object"
    case invalidVoice = "`voice` must be a string of 1 to 128 bytes"
    case invalidModalities = "`modalities` must be an array of \"text\", \"audio\" or both, each once"
    case conflictingFrom = "`from` can't be combined with `format`, `data` or `final`"
    case missingFormat = "`format` is required to open an audio stream"
    case missingData = "`data` is required for a recording in one message"
    case missingFinal = "`final` must be true for a recording in one message"
    case dataNotString = "`data` must be a string"
    case invalidTimestamp = "`ts` must be a number of at most 64 characters"
    case missingText = "`text` is required and must not be empty"
    case invalidState = "`state` must be typing, idle, recording, muted or playing"
    case invalidCancelReason = "`reason` must be a string of at most 1000 bytes"
    case missingSequence = "`seq` is required"
    case invalidToken = "`token` must be a string of 1 to 8192 bytes"
    case missingToken = "`token` is required"

    // Message sizes
    case messageTooLarge = "The message exceeds `messages.max_bytes`"
    case textTooLarge = "The text exceeds `messages.max_text_bytes`"
    case webSocketMessageTooLarge = "The WebSocket message exceeds `websocket.max_message_bytes`"
    case inflatedMessageTooLarge = "The inflated WebSocket message exceeds `websocket.max_message_bytes`"
    case tooManyFragments = "The WebSocket message has more fragments than `websocket.max_fragments`"

    // Audio sizes
    case recordingTooLarge = "The recording exceeds `messages.audio_max_bytes`"
    case chunkTooLarge = "The audio chunk exceeds `messages.audio_max_bytes`"
    case recordingTooLong = "The recording exceeds the size limit of its route (`collect_max_bytes`)"

    // Audio
    case unsupportedCodec = "Unsupported audio codec"
    case unsupportedRate = "`rate` must be 8000 to 48000"
    case unsupportedChannels = "`channels` must be 1 or 2"
    case invalidBase64 = "`data` must be base64 with padding and must not be empty"
    case partialSamples = "`data` must contain whole samples of all channels"
    case invalidOpusData = "`data` must be an Opus packet (RFC 6716)"
    case invalidOpusChunk = "The audio chunk must be an Opus packet (RFC 6716)"
    case streamAlreadyOpen = "Another audio stream is open; end or cancel it first"
    case noOpenStream = "Binary message without an open audio stream"
    case unknownStream = "No open audio stream has this `id`"
    case wrongChunk = "Unexpected chunk number; the next chunk is {number}"
    case incompleteRecording = "The recording is incomplete; send it again with another `id`"
    case emptyRecording = "The recording is empty"
    case opusPacketsUnsupported = "The route doesn't accept single Opus packets; send ogg_opus or webm_opus"
    case codecUnsupportedByRoute = "The route accepts pcm16, mulaw and alaw only"

    // Rate limits
    case textRate = "Text rate limit reached (`limits.text_per_minute`); retry after {wait}"
    case audioRate = "Audio stream rate limit reached (`limits.audio_per_minute`); retry after {wait}"
    case chunkRate = "Audio chunk rate limit reached (`limits.audio_chunks_per_second`); retry after {wait}"
    case controlRate = "Control message rate limit reached (`limits.control_per_minute`); retry after {wait}"
    case byteRate = "Byte rate limit reached (`limits.bytes_per_second`); retry after {wait}"
    case globalRate = "Message rate limit of the gateway reached (`limits.global_per_second`); retry after {wait}"

    // Quotas
    case quotaExceeded = "Quota used up: {quota}"

    // Audio pace
    case audioPace = "Audio pace limit reached (`limits.audio_realtime_factor`); retry after {wait}"

    // Identifiers
    case idOfAnotherType = "`id` was used for an accepted message of another type"

    // Requests, routes and paths
    case unknownRequest = "No request in flight has this `id`"
    case noRoute = "No route accepts this message"
    case unknownPath = "Unknown path; the WebSocket endpoint is /v1/ws"
    case assetMethod = "Files accept GET, HEAD and OPTIONS only"
    case healthMethod = "Health endpoints accept GET, HEAD and OPTIONS only"
    case upgradeMethod = "WebSocket endpoints accept GET only"

    // Credentials
    case authenticationDisabled = "Authentication is disabled; there is no token to renew"
    case credentialsInURL = "Credentials in the URL are rejected, because URLs are logged"
    case credentialsMissing = "A bearer token is required"
    case tokenRejected = "The bearer token is invalid"
    case tokenRevoked = "The user's tokens were revoked; obtain a new one"
    case tokenUsed = "The token has opened as many sessions as it allows; obtain a new one"
    case userChanged = "The new token belongs to another user; the current one stays in force"
    case expiryEarlier = "The new token expires earlier than the current one, which stays in force"
    case tokenExpired = "The token has expired; obtain a new one"
    case renewalRate = "Too many rejected tokens from this address; retry after {wait}"
    case tokenFailures = "Too many rejected tokens from this address"
    case missingCertificateName = "The client certificate has no name of 1 to 128 printable ASCII characters"

    // Rights
    case pathForbidden = "The token doesn't allow this path (`parley.paths`)"
    case routeForbidden = "The token doesn't allow this route (`parley.routes`)"
    case typeForbidden = "The token doesn't allow messages of this type (`parley.types`)"

    // Transport
    case tlsRequired = "The connection to the proxy must be encrypted; use wss:// or https://"

    // Origins
    case originNotAllowed = "The origin is not allowed (`http.allowed_origins`)"

    // Connection limits
    case connectionLimit = "Connection limit reached (`connections.max`)"
    case userLimit = "The user's connection limit is reached (`connections.per_user`)"
    case evicted = "A newer connection of the user took the place of this one (`connections.per_user`)"
    case addressLimit = "Connection limit of the client's address reached (`connections.per_address`)"

    // Session limits
    case sessionLimit = "Session limit reached (`sessions.max`)"

    // Session lifetime
    case sessionExpired = "The session has expired; start a new session"

    // Memory of a session
    case sessionMemory = "The session's memory budget is exhausted (`sessions.memory_budget`)"
    case memoryReclaimed = "The session was ended to free memory (`sessions.total_memory_budget`)"

    // Delivery
    case slowConsumer = "The client reads too slowly"

    // Heartbeat
    case heartbeatTimeout = "No data from the client within `heartbeat.stale_after`"

    // Violations
    case tooManyViolations = "Too many malformed messages (`messages.max_violations`)"
    case tooManyRejections = "Too many rejected messages (`limits.refusals_per_minute`)"

    // Upstream availability
    case upstreamUnreachable = "The upstream is unreachable"
    case breakerOpen = "The upstream is unavailable; its circuit breakers are open"
    case permitQueueFull = "The upstream's request queue is full"
    case connectionsFull = "All connections to the upstream are fully used"
    case upstreamBusy = "The upstream is busy"

    // Upstream deadlines
    case permitTimeout = "Timed out in the upstream's request queue"
    case connectTimeout = "Timed out connecting to the upstream"
    case responseTimeout = "Timed out waiting for the upstream's response"
    case responseTooLong = "The upstream's response took too long"

    // Upstream responses
    case upstreamFailed = "The upstream reported an error"
    case upstreamRejected = "The upstream rejected the request"
    case responseIncomplete = "The upstream's response is incomplete"
    case responseInvalid = "The upstream's response is invalid"
    case responseTooLarge = "The upstream's response is too large"
    case responseNotEncodable = "Part of the upstream's response can't be encoded"
    case responseOverflow = "The upstream's response arrived faster than the client read it"
    case sharedResponseUnavailable = "The shared response is no longer available"
    case recordingUnanswered = "An operator ended the takeover without an answer; send the recording again with another `id`"
    case gatewayRestarted = "The gateway restarted during the response"

    // Drain
    case draining = "The gateway is restarting"

    // Overload
    case upstreamQueueFull = "The session's upstream queue is full (`delivery.upstream_queue_bytes`)"
    case memoryExhausted = "The gateway's memory budget is exhausted (`sessions.total_memory_budget`)"
    case storeUnavailable = "The session store is unavailable"

    // Internal errors
    case unsupportedInput = "The upstream doesn't accept this kind of message"

    // WebSocket upgrade
    case plainHTTP = "This port requires TLS; use wss:// or https://"
    case notHTTP = "The request is not HTTP/1.1"
    case httpVersion = "A WebSocket upgrade requires HTTP/1.1"
    case invalidTarget = "The request target is malformed"
    case invalidHost = "Exactly one valid Host header is required"
    case unexpectedBody = "The request must not have a body"
    case missingUpgrade = "The header Upgrade: websocket is required"
    case missingConnectionUpgrade = "The header Connection: Upgrade is required"
    case unsupportedVersion = "Sec-WebSocket-Version must be 13"
    case invalidKey = "Exactly one Sec-WebSocket-Key of 16 bytes in base64 is required"
    case invalidSubprotocols = "Sec-WebSocket-Protocol must be a list of distinct tokens"
    case missingSubprotocol = "Sec-WebSocket-Protocol must offer parley.v1 beside credentials; browsers require an echoed subprotocol"
    case invalidExtensions = "Sec-WebSocket-Extensions is malformed"
    case multipleOrigins = "At most one Origin header is allowed"
    case invalidBearerToken = "The bearer token is malformed"
    case invalidResumeToken = "The resume token is malformed"
    case conflictingCredentials = "Two different credentials were given for the same purpose"

    // Request head
    case headTooLarge = "The request head exceeds `http.max_header_bytes` or `http.max_headers`"

    /// The stable code of the error.
    package var code: ErrorCode {
        switch self {
        case .notAnObject, .byteOrderMark, .trailingBytes, .incompleteJSON, .unexpectedCharacter, .invalidLiteral, .invalidNumber,
            .invalidEscape, .unescapedControl, .loneSurrogate, .duplicateKey, .nestingTooDeep:
            .invalidJSON
        case .unknownType: .unsupportedType
        case .typeNotString, .unknownField, .invalidID, .missingID, .notBoolean, .notWholeNumber, .numberOutOfRange, .invalidPlayed,
            .invalidLanguage, .metaNotObject, .tooManyMetaEntries, .invalidMetaKey, .invalidMetaValue, .formatNotObject, .missingCodec,
            .missingRate, .outputNotObject, .invalidVoice, .invalidModalities, .conflictingFrom, .missingFormat, .missingData,
            .missingFinal, .dataNotString, .invalidTimestamp, .missingText, .invalidState, .invalidCancelReason, .missingSequence,
            .invalidToken, .missingToken:
            .invalidMessage
        case .messageTooLarge, .textTooLarge, .webSocketMessageTooLarge, .inflatedMessageTooLarge, .tooManyFragments: .messageTooLarge
        case .recordingTooLarge, .chunkTooLarge, .recordingTooLong: .audioTooLarge
        case .unsupportedCodec, .unsupportedRate, .unsupportedChannels, .invalidBase64, .partialSamples, .invalidOpusData,
            .invalidOpusChunk, .streamAlreadyOpen, .noOpenStream, .unknownStream, .wrongChunk, .incompleteRecording, .emptyRecording,
            .opusPacketsUnsupported, .codecUnsupportedByRoute:
            .invalidAudio
        case .renewalRate, .textRate, .audioRate, .chunkRate, .controlRate, .byteRate, .globalRate: .rateLimited
        case .audioPace: .tooFast
        case .quotaExceeded: .quotaExceeded
        case .idOfAnotherType: .duplicateID
        case .unknownRequest, .noRoute, .unknownPath, .assetMethod, .healthMethod, .upgradeMethod: .notFound
        case .authenticationDisabled, .credentialsInURL, .credentialsMissing, .missingCertificateName, .tokenRejected, .tokenRevoked,
            .tokenUsed, .userChanged,
            .expiryEarlier:
            .unauthorized
        case .tokenExpired: .tokenExpired
        case .pathForbidden, .routeForbidden, .typeForbidden, .tlsRequired: .forbidden
        case .originNotAllowed: .originDenied
        case .connectionLimit, .addressLimit, .tokenFailures, .userLimit, .evicted: .connectionLimit
        case .sessionLimit: .sessionLimit
        case .sessionExpired: .sessionExpired
        case .sessionMemory, .memoryReclaimed: .memoryLimit
        case .slowConsumer: .slowConsumer
        case .heartbeatTimeout: .heartbeatTimeout
        case .tooManyViolations, .tooManyRejections: .tooManyViolations
        case .upstreamUnreachable, .breakerOpen, .recordingUnanswered, .permitQueueFull, .connectionsFull, .upstreamBusy:
            .upstreamUnavailable
        case .permitTimeout, .connectTimeout, .responseTimeout, .responseTooLong: .upstreamTimeout
        case .upstreamFailed, .upstreamRejected, .responseIncomplete, .responseInvalid, .responseTooLarge, .responseNotEncodable,
            .responseOverflow, .sharedResponseUnavailable, .gatewayRestarted:
            .upstreamError
        case .draining: .draining
        case .upstreamQueueFull, .memoryExhausted, .storeUnavailable: .overloaded
        case .unsupportedInput: .internal
        case .plainHTTP, .notHTTP, .httpVersion, .invalidTarget, .invalidHost, .unexpectedBody, .missingUpgrade, .missingConnectionUpgrade,
            .unsupportedVersion, .invalidKey, .invalidSubprotocols, .missingSubprotocol, .invalidExtensions, .multipleOrigins,
            .invalidBearerToken, .invalidResumeToken, .conflictingCredentials:
            .invalidUpgrade
        case .headTooLarge: .headerTooLarge
        }
    }

    /// The message for people, with its placeholder if it has one.
    package var message: String { rawValue }

    /// Returns the message with a value in place of its placeholder, which ends the text.
    package func message(_ value: some CustomStringConvertible) -> String { "\(rawValue.prefix { $0 != "{" })\(value)" }
}
