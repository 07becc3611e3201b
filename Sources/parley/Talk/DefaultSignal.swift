// SPDX-License-Identifier: Apache-2.0

import Foundation

/// Raises signals with their default action.
enum DefaultSignal {
    /// Raises the signal in this thread, after unblocking it: worker threads block all signals. Returns if the process survives, for example
    /// when SIGCONT continues it.
    static func raise(_ number: Int32) {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, number)
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
        signal(number, SIG_DFL)
        _ = Foundation.raise(number)
    }
}
