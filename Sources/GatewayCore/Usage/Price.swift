// SPDX-License-Identifier: Apache-2.0

/// The price of an upstream's service, in a unit that the operator chooses. 0 means free.
package struct Price: Sendable, Hashable {
    package var per1kInputTokens = 0.0
    package var per1kOutputTokens = 0.0
    /// Per minute of audio, received from the client or returned to it.
    package var perAudioMinute = 0.0
    /// Per 1000 characters of text that the upstream synthesizes.
    package var per1kCharacters = 0.0

    package init() {}
}
