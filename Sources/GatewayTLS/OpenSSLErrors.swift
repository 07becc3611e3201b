import COpenSSL

/// OpenSSL's error queue, which belongs to the thread.
///
/// A failing call leaves its reasons there, and the next call on the thread would take them for its own: the queue is made empty before
/// each call and read after a failure.
enum OpenSSLErrors {
    /// Empties the queue. Looking first is cheaper than clearing: nearly always there is nothing.
    static func clear() {
        if ERR_peek_error() != 0 { ERR_clear_error() }
    }

    /// The oldest reason, which is the cause of the others, and an empty queue. `nil` when OpenSSL gave none.
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
