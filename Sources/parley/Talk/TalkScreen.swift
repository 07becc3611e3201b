// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer
import Synchronization

/// The screen shared by output and the user's input line: the conversation writes output, and the keyboard thread edits the line.
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

    /// Writes output above the input line.
    ///
    /// - Returns: the `errno` value of a failure; nil for success
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

    /// Repaints the line after a change of the window's size.
    func resize() {
        state.withLock { state in
            Self.put(state.screen.erase())
            state.screen.columns = TerminalMode.columns
            if state.isShown { Self.put(state.screen.paint(state.editor)) }
        }
    }

    /// Parses bytes of the terminal into keys, and applies them to the line.
    ///
    /// - Returns: the actions for the program, in order
    func apply(_ bytes: [UInt8]) -> [LineEditor.Action] {
        state.withLock { state in
            var actions: [LineEditor.Action] = []
            for key in state.reader.read(bytes) {
                guard let action = state.editor.handle(key) else { continue }
                switch action {
                case .submit(let line): Self.keep(line, &state)
                case .discarded(let line): Self.keep(line + "^C", &state)
                case .clearScreen: Self.put(state.screen.clear())
                case .endOfInput, .interrupt, .suspend, .quit: break
                }
                actions.append(action)
            }
            if state.isShown { Self.put(state.screen.paint(state.editor)) }
            return actions
        }
    }

    /// Leaves a finished line on the screen, as a terminal's echo would.
    private static func keep(_ line: String, _ state: inout State) {
        guard state.isShown else { return }
        put(state.screen.erase())
        put(state.screen.finish(PromptScreen.prompt + line))
    }

    /// Ignores write errors: the next response reports them.
    private static func put(_ text: String) {
        guard !text.isEmpty else { return }
        _ = Descriptor.write(Array(text.utf8), to: STDOUT_FILENO)
    }
}
