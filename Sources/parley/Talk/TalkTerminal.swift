import Foundation
import GatewayServer

/// What the user of `parley talk` sees: replies on standard output, everything else on standard error.
///
/// On a terminal a reply and its times share a line. Replies that come at the same time are shown one after the other.
final class TalkTerminal {
    private struct Reply {
        let id: String
        var text = ""
        /// The end of the line, once it's known; nil while more may come.
        var note: String?
    }

    /// Bytes of a reply that may wait for its turn.
    private static let mostWaiting = 1 << 20

    /// The screen with the user's own line on it; nil where lines aren't edited.
    let screen: TalkScreen?
    private let isQuiet: Bool
    private let isJSON: Bool
    /// Whether replies and diagnostics meet on the same screen.
    private let isShared: Bool
    /// Whether replies go to a screen.
    let isScreen: Bool
    /// Why standard output couldn't be written, as an error's number; nil so far.
    private(set) var outputFailure: Int32?
    /// The first is being shown, the others wait.
    private var replies: [Reply] = []
    private var isLineOpen = false

    init(screen: TalkScreen?, isQuiet: Bool, isJSON: Bool) {
        self.screen = screen
        self.isQuiet = isQuiet
        self.isJSON = isJSON
        isScreen = isatty(STDOUT_FILENO) == 1
        isShared = isScreen && isatty(STDERR_FILENO) == 1
    }

    /// A message as it came, with `--json`.
    func raw(_ json: String) {
        guard isJSON else { return }
        write(ClientText.line(json: json) + "\n", to: STDOUT_FILENO)
    }

    // MARK: Replies

    /// A piece of the answer to `id`.
    ///
    /// - Parameter beginsLine: whether it isn't the continuation of the piece before.
    func piece(_ text: String, of id: String, beginsLine: Bool) {
        guard !isJSON else { return }
        let index: Int
        if let known = replies.firstIndex(where: { $0.id == id }) {
            index = known
        } else {
            replies.append(Reply(id: id))
            index = replies.count - 1
        }
        if index == 0 {
            show(text, beginsLine: beginsLine)
        } else {
            guard replies[index].text.utf8.count + text.utf8.count <= Self.mostWaiting else { return }
            replies[index].text += beginsLine && !replies[index].text.isEmpty ? "\n" + text : text
        }
    }

    /// The answer to `id` is complete.
    func finish(_ id: String, note: String) {
        guard !isJSON else { return notice("\(id): \(note)") }
        guard let index = replies.firstIndex(where: { $0.id == id }) else { return notice("\(id): \(note)") }
        guard index == 0 else {
            replies[index].note = note
            return
        }
        end(note: note)
        replies.removeFirst()
        // What waited for its turn.
        while let next = replies.first {
            show(next.text, beginsLine: true)
            guard let note = next.note else { break }
            end(note: note)
            replies.removeFirst()
        }
    }

    /// A reply of one line that no request of the conversation waits for.
    func line(_ text: String) {
        guard !isJSON else { return }
        breakLine()
        write(isScreen ? ClientText.reply(text) + "\n" : text + "\n", to: STDOUT_FILENO)
    }

    private func show(_ text: String, beginsLine: Bool) {
        if beginsLine, isLineOpen { breakLine() }
        var shown = isScreen ? ClientText.reply(text) : text
        if !isLineOpen, isShared, !isQuiet { shown = "← " + shown }
        isLineOpen = true
        write(shown, to: STDOUT_FILENO)
    }

    private func end(note: String) {
        if isShared, !isQuiet, isLineOpen {
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
        tell(text)
    }

    /// Shown even with `--quiet`.
    func error(_ text: String) { tell("error: " + text) }

    private func tell(_ text: String) {
        if isShared { breakLine() }
        if isShared, let screen {
            _ = screen.write(text + "\n", to: STDERR_FILENO)
        } else {
            Self.complain(text)
        }
    }

    static func complain(_ text: String) {
        // A closed standard error is no reason to end.
        _ = Descriptor.write(Array((text + "\n").utf8), to: STDERR_FILENO)
    }

    private func write(_ text: String, to descriptor: Int32) {
        guard outputFailure == nil else { return }
        outputFailure = screen?.write(text, to: descriptor) ?? (screen == nil ? Descriptor.write(text.utf8, to: descriptor) : nil)
    }
}
