import GatewayCore

/// The place that audio of the gateway goes to: a file or a loudspeaker. Several sounds come one after the other.
protocol SoundSink: Sendable {
    func begin(_ format: AudioFormat) throws(FileFault)
    func append(_ bytes: [UInt8]) throws(FileFault)
    func end() throws(FileFault)
}
