// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The destination of received audio: a file or a player. Audio responses follow one another, each between `begin` and `end`.
protocol AudioSink: Sendable {
    func begin(_ format: AudioFormat) throws(FileFault)
    func append(_ bytes: [UInt8]) throws(FileFault)
    func end() throws(FileFault)
}
