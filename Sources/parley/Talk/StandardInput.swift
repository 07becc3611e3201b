import Foundation
import GatewayServer

/// The lines of standard input, read on a thread of their own, one when it's asked for.
final class StandardInput: Sendable {
    static var isTerminal: Bool { isatty(STDIN_FILENO) == 1 }

    private let permits = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - end: inserted after the last line.
    init(into client: GatewayClient, end: String) {
        let permits = permits
        let thread = Thread {
            while true {
                permits.wait()
                guard let line = readLine(strippingNewline: true) else { break }
                client.insert(line)
            }
            client.insert(end)
        }
        thread.name = "standard input"
        thread.start()
    }

    func requestLine() {
        permits.signal()
    }
}
