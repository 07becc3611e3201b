// SPDX-License-Identifier: Apache-2.0

import Foundation
import Synchronization

/// Raw mode of the terminal on standard input. The previous mode is restored when the process exits.
enum TerminalMode {
    private struct State {
        var saved: termios?
        var isRaw = false
        var isRegistered = false
    }

    private static let state = Mutex(State())
    /// Bracketed paste mode: the terminal marks pasted text, so that its line feeds don't count as the Enter key.
    private static let pasteOn = "\u{1B}[?2004h"
    private static let pasteOff = "\u{1B}[?2004l"

    /// Whether lines can be edited: standard input and output are terminals, and `TERM` isn't `dumb`.
    static var canEdit: Bool {
        isatty(STDIN_FILENO) == 1 && isatty(STDOUT_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    }

    /// Enters raw mode.
    ///
    /// - Returns: whether the mode could be set
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
            // TCSADRAIN keeps input that was typed earlier.
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

    /// Restores the previous mode.
    static func leave() {
        state.withLock { state in
            guard state.isRaw, var saved = state.saved else { return }
            state.isRaw = false
            _ = Descriptor.write(Array(pasteOff.utf8), to: STDOUT_FILENO)
            _ = tcsetattr(STDIN_FILENO, TCSADRAIN, &saved)
        }
    }

    /// Columns of the terminal, at least 20; 80 if the terminal doesn't report its size.
    static var columns: Int {
        var size = winsize()
        guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return 80 }
        return max(20, Int(size.ws_col))
    }
}
