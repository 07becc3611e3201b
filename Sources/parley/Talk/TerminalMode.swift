import Foundation
import Synchronization

/// Raw mode of the terminal on standard input, and the way back from it, which is taken at the end of the process, too.
enum TerminalMode {
    private struct State {
        var saved: termios?
        var isRaw = false
        var isRegistered = false
    }

    private static let state = Mutex(State())
    /// Pastes come between marks, so that their lines aren't taken for keys.
    private static let pasteOn = "\u{1B}[?2004h"
    private static let pasteOff = "\u{1B}[?2004l"

    /// Whether lines can be edited: somebody writes on a terminal, and sees it there.
    static var canEdit: Bool {
        isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    }

    /// - Returns: whether the terminal can be used so
    static func enter() -> Bool {
        state.withLock { state in
            var mode = termios()
            guard tcgetattr(STDIN_FILENO, &mode) == 0 else { return false }
            if state.saved == nil { state.saved = mode }
            mode.c_lflag &= ~tcflag_t(ECHO | ICANON | IEXTEN | ISIG)
            mode.c_iflag &= ~tcflag_t(IXON | ICRNL | INLCR | IGNCR | BRKINT | ISTRIP)
            withUnsafeMutableBytes(of: &mode.c_cc) { controls in
                controls[Int(VMIN)] = 1
                controls[Int(VTIME)] = 0
            }
            // Input that was typed before is kept.
            guard tcsetattr(STDIN_FILENO, TCSADRAIN, &mode) == 0 else { return false }
            state.isRaw = true
            _ = Descriptor.write(Array(pasteOn.utf8), to: STDOUT_FILENO)
            if !state.isRegistered {
                state.isRegistered = true
                atexit { TerminalMode.leave() }
            }
            return true
        }
    }

    static func leave() {
        state.withLock { state in
            guard state.isRaw, var saved = state.saved else { return }
            state.isRaw = false
            _ = Descriptor.write(Array(pasteOff.utf8), to: STDOUT_FILENO)
            _ = tcsetattr(STDIN_FILENO, TCSADRAIN, &saved)
        }
    }

    /// Columns of the terminal; 80 where it doesn't tell.
    static var columns: Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return max(20, Int(size.ws_col))
    }
}
