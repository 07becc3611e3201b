// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer

/// The output of `parley talk`: responses on standard output, everything else on standard error.
///
/// On a terminal, a response and its latencies share a line. Concurrent responses are printed one after the other.
final class TalkTerminal {
    private struct Response {
        let id: String
        var text = ""
        /// The note after the completed response; nil while it is incomplete.
        var note: String?
    }

    /// Maximum bytes of a response that waits for an earlier one; text beyond that is dropped.
    private static let maximumQueuedBytes = 1 << 20

    /// The screen with the input line; nil if lines aren't edited.
    let screen: TalkScreen?
    private let isQuiet: Bool
    private let isJSON: Bool
    /// Whether standard output and standard error are both terminals.
    private let sharesTerminal: Bool
    /// Whether standard output is a terminal.
    let isOutputTerminal: Bool
    /// The `errno` value of the first failure to write standard output; nil if there was none.
    private(set) var outputFailure: Int32?
    /// The incomplete responses. The first one is being printed, the others wait for it.
    private var responses: [Response] = []
    private var isLineOpen = false

    init(screen: TalkScreen?, isQuiet: Bool, isJSON: Bool) {
        self.screen = screen
        self.isQuiet = isQuiet
        self.isJSON = isJSON
        isOutputTerminal = isatty(STDOUT_FILENO) == 1
        sharesTerminal = isOutputTerminal && isatty(STDERR_FILENO) == 1
    }

    /// Prints a message as received, with `--json`.
    func raw(_ json: String) {
        guard isJSON else { return }
        write(ClientText.line(json: json) + "\n", to: STDOUT_FILENO)
    }

    // MARK: Responses

    /// Prints a delta of the response to `id`.
    ///
    /// - Parameter beginsLine: whether the delta begins a new line
    func printDelta(_ text: String, of id: String, beginsLine: Bool) {
        guard !isJSON else { return }
        let index: Int
        if let known = responses.firstIndex(where: { $0.id == id }) {
            index = known
        } else {
            responses.append(Response(id: id))
            index = responses.count - 1
        }
        if index == 0 {
            show(text, beginsLine: beginsLine)
        } else {
            guard responses[index].text.utf8.count + text.utf8.count <= Self.maximumQueuedBytes else { return }
            responses[index].text += beginsLine && !responses[index].text.isEmpty ? "\n" + text : text
        }
    }

    /// Completes the response to `id`.
    func finish(_ id: String, note: String) {
        guard !isJSON else { return notice("\(id): \(note)") }
        guard let index = responses.firstIndex(where: { $0.id == id }) else { return notice("\(id): \(note)") }
        guard index == 0 else {
            responses[index].note = note
            return
        }
        end(note: note)
        responses.removeFirst()
        // The responses that waited for this one can now be printed.
        while let next = responses.first {
            show(next.text, beginsLine: true)
            guard let note = next.note else { break }
            end(note: note)
            responses.removeFirst()
        }
    }

    /// Prints a line that isn't part of a response to a text or recording, such as the round-trip time of a ping.
    func line(_ text: String) {
        guard !isJSON else { return }
        breakLine()
        write(isOutputTerminal ? ClientText.response(text) + "\n" : text + "\n", to: STDOUT_FILENO)
    }

    private func show(_ text: String, beginsLine: Bool) {
        if beginsLine, isLineOpen { breakLine() }
        var shown = isOutputTerminal ? ClientText.response(text) : text
        if !isLineOpen, sharesTerminal, !isQuiet { shown = "← " + shown }
        isLineOpen = true
        write(shown, to: STDOUT_FILENO)
    }

    private func end(note: String) {
        if sharesTerminal, !isQuiet, isLineOpen {
            write("  (\(note))\n", to: STDOUT_FILENO)
            isLineOpen = false
        } else {
            breakLine()
            notice("← \(note)")
        }
    }

    private func breakLine() {
        guard isLineOpen else { return }
        write("\n", to: STDOUT_FILENO)
        isLineOpen = false
    }

    // MARK: Diagnostics

    func notice(_ text: String) {
        guard !isQuiet else { return }
        write(diagnostic: text)
    }

    /// Prints an error, even with `--quiet`.
    func error(_ text: String) { write(diagnostic: "error: " + text) }

    private func write(diagnostic text: String) {
        if sharesTerminal { breakLine() }
        if sharesTerminal, let screen {
            _ = screen.write(text + "\n", to: STDERR_FILENO)
        } else {
            Self.printError(text)
        }
    }

    static func printError(_ text: String) {
        // Failures to write standard error are ignored.
        _ = Descriptor.write(Array((text + "\n").utf8), to: STDERR_FILENO)
    }

    private func write(_ text: String, to descriptor: Int32) {
        guard outputFailure == nil else { return }
        outputFailure = screen?.write(text, to: descriptor) ?? (screen == nil ? Descriptor.write(text.utf8, to: descriptor) : nil)
    }
}
