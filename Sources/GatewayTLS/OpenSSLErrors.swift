// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// OpenSSL's error queue of the current thread.
///
/// A failed call leaves its reasons in the queue, where the next call on the thread would find them: the queue must be cleared before each
/// call and read after a failure.
enum OpenSSLErrors {
    /// Clears the queue. Peeking first is cheaper, because the queue is nearly always empty.
    static func clear() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// Returns the oldest reason, which is the cause of the others, and clears the queue. `nil` when the queue is empty.
    static func takeReason() -> String? {
        var data: UnsafePointer<CChar>?
        var flags: Int32 = 0
        let code = ERR_get_error_all(nil, nil, nil, &data, &flags)
        guard code != 0 else { return nil }
        defer { ERR_clear_error() }
        var text =
            if let reason = ERR_reason_error_string(code) {
                String(cString: reason)
            } else {
                "error \(String(code, radix: 16))"
            }
        if flags & ERR_TXT_STRING != 0, let data, data.pointee != 0 {
            text += ": " + String(cString: data)
        }
        return text
    }
}
