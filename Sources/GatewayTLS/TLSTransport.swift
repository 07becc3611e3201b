// SPDX-License-Identifier: Apache-2.0

import COpenSSL

/// The BIO through which OpenSSL reads and writes. It has no socket or buffer of its own but uses the buffers of ``TLSConnection``.
///
/// The functions below are called from C and must not trap, throw or unwind. The BIO's data pointer is the connection, unretained: OpenSSL
/// calls these functions only during a call of the connection.
enum TLSTransport {
    /// `nil` only when OpenSSL is out of memory. Created once and then immutable, so sharing it is safe.
    nonisolated(unsafe) private static let method: OpaquePointer? = {
        let kind = BIO_get_new_index()
        guard kind != -1, let method = BIO_meth_new(kind | BIO_TYPE_SOURCE_SINK, "parley") else { return nil }
        guard BIO_meth_set_read_ex(method, readCiphertext) == 1, BIO_meth_set_write_ex(method, writeCiphertext) == 1,
            BIO_meth_set_ctrl(method, control) == 1
        else {
            BIO_meth_free(method)
            return nil
        }
        return method
    }()

    /// Creates a BIO for the connection, to be passed to `SSL_set_bio`.
    static func makeBIO(for connection: TLSConnection) -> OpaquePointer? {
        guard let method, let bio = BIO_new(method) else { return nil }
        BIO_set_data(bio, Unmanaged.passUnretained(connection).toOpaque())
        BIO_set_init(bio, 1)
        return bio
    }

    /// Returns the connection of an `SSL`, for OpenSSL callbacks without other arguments.
    static func connection(of ssl: OpaquePointer?) -> TLSConnection? {
        guard let ssl, let bio = SSL_get_rbio(ssl), let data = BIO_get_data(bio) else { return nil }
        return Unmanaged<TLSConnection>.fromOpaque(data).takeUnretainedValue()
    }
}

private func readCiphertext(
    bio: OpaquePointer?, target: UnsafeMutablePointer<CChar>?, capacity: Int, count: UnsafeMutablePointer<Int>?
) -> Int32 {
    guard let bio, let target, let count, let data = BIO_get_data(bio) else { return 0 }
    parley_BIO_clear_retry_flags(bio)
    let taken = Unmanaged<TLSConnection>.fromOpaque(data)._withUnsafeGuaranteedRef {
        $0.takeIncoming(into: UnsafeMutableRawBufferPointer(start: target, count: capacity))
    }
    count.pointee = taken
    guard taken > 0 else {
        parley_BIO_set_retry_read(bio)
        return 0
    }
    return 1
}

private func writeCiphertext(
    bio: OpaquePointer?, source: UnsafePointer<CChar>?, length: Int, count: UnsafeMutablePointer<Int>?
) -> Int32 {
    guard let bio, let source, let count, let data = BIO_get_data(bio) else { return 0 }
    parley_BIO_clear_retry_flags(bio)
    Unmanaged<TLSConnection>.fromOpaque(data)._withUnsafeGuaranteedRef {
        $0.buffers.appendCiphertext(UnsafeRawBufferPointer(start: source, count: length))
    }
    count.pointee = length
    return 1
}

private func control(bio: OpaquePointer?, command: Int32, number: Int, pointer: UnsafeMutableRawPointer?) -> Int {
    // Everything is flushed when written; other commands, such as kernel TLS, aren't supported.
    command == BIO_CTRL_FLUSH ? 1 : 0
}
