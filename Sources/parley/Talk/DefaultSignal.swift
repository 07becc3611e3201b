import Foundation

/// Signals with the effect that they have on a program that does nothing about them.
enum DefaultSignal {
    /// Raises the signal in this thread, whose signal mask may be that of a worker thread, which blocks all signals. Returns when the process
    /// wasn't ended, or has been continued.
    static func raise(_ number: Int32) {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, number)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
        signal(number, SIG_DFL)
        _ = Foundation.raise(number)
    }
}
