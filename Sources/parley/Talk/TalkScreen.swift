import Foundation
import GatewayServer
import Synchronization

/// The screen that replies and the user's line share: the conversation writes, and the thread that reads the keyboard edits.
final class TalkScreen: Sendable {
    private struct State {
        var screen: PromptScreen
        var editor: LineEditor
        var reader = TerminalKeyReader()
        var isShown = false
    }

    private let state: Mutex<State>

    init(history: LineHistory) {
        state = Mutex(State(screen: PromptScreen(columns: TerminalMode.columns), editor: LineEditor(history: history)))
    }

    var history: LineHistory { state.withLock { $0.editor.history } }

    /// Writes output above the user's line.
    ///
    /// - Returns: the error's number; nil for success
    func write(_ text: String, to descriptor: Int32) -> Int32? {
        state.withLock { state in
            Self.put(state.screen.erase())
            let failure = Descriptor.write(Array(state.screen.output(text).utf8), to: descriptor)
            if state.isShown { Self.put(state.screen.paint(state.editor)) }
            return failure
        }
    }

    func show() {
        state.withLock { state in
            state.isShown = true
            Self.put(state.screen.paint(state.editor))
        }
    }

    func hide() {
        state.withLock { state in
            state.isShown = false
            Self.put(state.screen.erase())
        }
    }

    /// The window has another size.
    func resize() {
        state.withLock { state in
            Self.put(state.screen.erase())
            state.screen.columns = TerminalMode.columns
            if state.isShown { Self.put(state.screen.paint(state.editor)) }
        }
    }

    /// Does what keys say.
    ///
    /// - Returns: what the program has to know of, in order
    func type(_ bytes: [UInt8]) -> [LineEditor.Action] {
        state.withLock { state in
            var actions: [LineEditor.Action] = []
            for key in state.reader.read(bytes) {
                guard let action = state.editor.handle(key) else { continue }
                switch action {
                case .submit(let line): Self.keep(line, &state)
                case .abandoned(let line): Self.keep(line + "^C", &state)
                case .clearScreen: Self.put(state.screen.clear())
                case .endOfInput, .interrupt, .suspend, .quit: break
                }
                actions.append(action)
            }
            if state.isShown { Self.put(state.screen.paint(state.editor)) }
            return actions
        }
    }

    /// A finished line stays on the screen, as a terminal's echo would.
    private static func keep(_ line: String, _ state: inout State) {
        guard state.isShown else { return }
        put(state.screen.erase())
        put(state.screen.finish(PromptScreen.prompt + line))
    }

    /// Ignores errors: the next reply meets them again.
    private static func put(_ text: String) {
        guard !text.isEmpty else { return }
        _ = Descriptor.write(Array(text.utf8), to: STDOUT_FILENO)
    }
}
