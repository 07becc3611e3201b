// SPDX-License-Identifier: Apache-2.0

import Foundation
import GatewayServer
import ParleyClient

/// Reads the keys of a terminal in raw mode, on a dedicated thread.
final class Keyboard: Sendable {
    init(screen: TalkScreen, into inserter: EventInserter) {
        let thread = Thread {
            while true {
                let bytes = Descriptor.read(STDIN_FILENO)
                guard !bytes.isEmpty else { return inserter.insert(.endOfInput) }
                for action in screen.apply(bytes) { Self.perform(action, screen: screen, inserter: inserter) }
            }
        }
        thread.name = "keyboard"
        thread.start()
    }

    private static func perform(_ action: LineEditor.Action, screen: TalkScreen, inserter: EventInserter) {
        switch action {
        case .submit(let line): inserter.insert(.line(line))
        case .endOfInput: inserter.insert(.endOfInput)
        // In raw mode, the terminal driver doesn't send the signals of Ctrl-C, Ctrl-Z and Ctrl-\.
        case .interrupt: kill(getpid(), SIGINT)
        case .suspend:
            screen.hide()
            TerminalMode.leave()
            DefaultSignal.raise(SIGTSTP)
            guard TerminalMode.enter() else { return inserter.insert(.endOfInput) }
            screen.resize()
            screen.show()
        case .quit:
            TerminalMode.leave()
            DefaultSignal.raise(SIGQUIT)
        case .discarded, .clearScreen: break
        }
    }
}
