import GatewayCore

/// Audio of the gateway that is being played.
struct Playback {
    var format: AudioFormat?
    /// Bytes so far.
    var count = 0
    /// Where its bytes go; false when that has failed.
    var isKept = true
}
