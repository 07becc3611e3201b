// SPDX-License-Identifier: Apache-2.0

/// The stage of a chain that an upstream can serve.
package enum UpstreamRole: Sendable, Hashable {
    /// Speech to text.
    case transcribe
    /// Text to text.
    case respond
    /// Text to speech.
    case synthesize
    /// Any input to any output.
    case any
}
