// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import GatewayServer
import Support

/// A connection without its TLS layer: arbitrary bytes, split arbitrarily, from the first byte of the request.
///
/// Invariants: those of ``Conversation`` and ``ConversationLog``. The result doesn't depend on how the bytes are split.
final class ConnectionTarget: FuzzTarget {
    func run(_ input: FuzzInput) {
        var input = input
        let policy = Policy(input.byte())
        let split = input.split()
        let bytes = input.bytes
        let pieces = split.pieces(of: bytes)
        let whole = Conversation(policy.apply)
        whole.send(bytes)
        let wholeLog = whole.log()
        let inPieces = Conversation(policy.apply)
        for piece in pieces { inPieces.send(piece) }
        let splitLog = inPieces.log()
        require(wholeLog == splitLog, "the result doesn't depend on the split:\n\(wholeLog)\n\(splitLog)")
        whole.advance(by: .milliseconds(1200))
        inPieces.advance(by: .milliseconds(1200))
        require(whole.isOpen == inPieces.isOpen, "both connections close, or neither")
    }
}

/// A configuration for a connection, selected by bits.
struct Policy {
    private let bits: UInt8

    init(_ bits: UInt8) { self.bits = bits }

    func apply(to configuration: inout GatewayConfiguration) {
        switch bits & 3 {
        case 0: break
        case 1: configuration.websocket.compression = .shared
        case 2: configuration.websocket.compression = .dedicated
        default: configuration.conformance.echo = true
        }
        if bits & 4 == 4 { configuration.messages.unknownFields = .ignore }
        switch bits >> 4 & 3 {
        case 0: break
        case 1: setLowLimits(&configuration)
        case 2: disableLimits(&configuration)
        default: configuration.limits.bytesPerSecond = 200
        }
    }

    /// Sets limits so low that inputs reach them.
    private func setLowLimits(_ configuration: inout GatewayConfiguration) {
        configuration.websocket.maxMessageBytes = 3000
        configuration.websocket.maxFragments = 4
        configuration.messages.maxBytes = 1000
        configuration.messages.maxTextBytes = 300
        configuration.messages.audioMaxBytes = 500
        configuration.messages.maxDepth = 3
        configuration.messages.maxViolations = 5
        configuration.limits.textPerMinute = 20
        configuration.limits.audioPerMinute = 8
        configuration.limits.controlPerMinute = 12
        configuration.limits.refusalsPerMinute = 6
        configuration.limits.audioChunksPerSecond = 2
        configuration.sessions.historyMessages = 3
        configuration.sessions.historyBytes = 400
        configuration.sessions.duplicateIDs = 2
        configuration.sessions.outboxMessages = 3
        configuration.sessions.outboxBytes = 500
        configuration.sessions.memoryBudget = 16_000
        configuration.sessions.ttl = .seconds(60)
        configuration.sessions.idle = .seconds(20)
        configuration.delivery.upstreamQueueBytes = 1500
        configuration.delivery.socketQueueBytes = 2000
        configuration.heartbeat.interval = .seconds(2)
        configuration.heartbeat.timeout = .seconds(1)
        configuration.heartbeat.staleAfter = .seconds(4)
        configuration.connections.maxAge = .seconds(50)
    }

    /// Disables every limit.
    private func disableLimits(_ configuration: inout GatewayConfiguration) {
        configuration.messages.maxBytes = 0
        configuration.messages.maxTextBytes = 0
        configuration.messages.audioMaxBytes = 0
        configuration.messages.maxViolations = 0
        configuration.limits.textPerMinute = 0
        configuration.limits.audioPerMinute = 0
        configuration.limits.audioChunksPerSecond = 0
        configuration.limits.audioRealtimeFactor = 0
        configuration.limits.controlPerMinute = 0
        configuration.limits.refusalsPerMinute = 0
        configuration.limits.bytesPerSecond = 0
        configuration.sessions.ttl = .zero
        configuration.sessions.idle = .zero
        configuration.sessions.historyMessages = 0
        configuration.sessions.duplicateIDs = 0
        configuration.sessions.outboxMessages = 0
        configuration.sessions.outboxBytes = 0
        configuration.sessions.memoryBudget = 0
        configuration.delivery.upstreamQueueBytes = 0
        configuration.delivery.socketQueueBytes = 0
        configuration.connections.maxAge = .zero
    }
}
