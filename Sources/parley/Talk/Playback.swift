// SPDX-License-Identifier: Apache-2.0

import GatewayCore

/// The audio response that is being received.
struct Playback {
    var format: AudioFormat?
    /// Bytes received so far.
    var count = 0
    /// Whether the bytes are passed to the sinks; false after a sink has failed.
    var isForwarded = true
}
