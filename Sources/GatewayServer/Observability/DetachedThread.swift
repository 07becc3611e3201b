// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A thread of the operating system for work that may block, such as writing a log. The thread ends with its function.
enum DetachedThread {
    private final class Start {
        let body: () -> Void

        init(_ body: @escaping () -> Void) { self.body = body }
    }

    /// Starts a thread.
    ///
    /// - Parameter body: runs on the new thread, with all signals blocked. After this call, only the thread uses what the function captures,
    ///   unless that is `Sendable`; the compiler can't check this, because the function passes through a pointer.
    /// - Returns: false if the system can't create a thread
    static func start(_ body: @escaping () -> Void) -> Bool {
        let argument = Unmanaged.passRetained(Start(body))
        var thread = pthread_t()
        let result = pthread_create(
            &thread, nil,
            { argument in
                guard let argument else { return nil }
                // The program's other threads handle signals. Above all, a closed pipe must be an error of `write`, not SIGPIPE.
                var signals = sigset_t()
                sigfillset(&signals)
                pthread_sigmask(SIG_BLOCK, &signals, nil)
                Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, argument.toOpaque())
        guard result == 0 else {
            argument.release()
            return false
        }
        pthread_detach(thread)
        return true
    }
}
