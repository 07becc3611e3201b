import Foundation
import GatewayServer

/// Reads the keys of a terminal in raw mode, on a dedicated thread.
final class Keyboard: Sendable {
    init(screen: TalkScreen, into port: EventPort) {
        let thread = Thread {
            while true {
                let bytes = Descriptor.read(STDIN_FILENO)
                guard !bytes.isEmpty else { return port.insert(.endOfInput) }
                for action in screen.type(bytes) { Self.perform(action, screen: screen, port: port) }
            }
        }
        thread.name = "keyboard"
        thread.start()
    }

    private static func perform(_ action: LineEditor.Action, screen: TalkScreen, port: EventPort) {
        switch action {
        case .submit(let line): port.insert(.line(line))
        case .endOfInput: port.insert(.endOfInput)
        // As the terminal driver does outside raw mode.
        case .interrupt: kill(getpid(), SIGINT)
        case .suspend:
            screen.hide()
            TerminalMode.leave()
            DefaultSignal.raise(SIGTSTP)
            guard TerminalMode.enter() else { return port.insert(.endOfInput) }
            screen.resize()
            screen.show()
        case .quit:
            TerminalMode.leave()
            DefaultSignal.raise(SIGQUIT)
        case .abandoned, .clearScreen: break
        }
    }
}
