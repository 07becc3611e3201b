// SPDX-License-Identifier: Apache-2.0

import COpenSSL
import NIOCore

/// An OpenSSL `SSL` object between buffers, independent of channels: ciphertext is read from `incoming`, plaintext is returned by
/// ``read(into:)``, and outbound ciphertext is in the event loop's ``TLSBuffers`` after each call.
///
/// A class, because OpenSSL's callbacks hold its address. Used on one event loop only.
final class TLSConnection {
    /// The limit on the size of a handshake, including client certificates, in bytes. No legitimate handshake exceeds it.
    static let maxHandshakeBytes = 64 * 1024
    /// The limit on skipped early data, in addition to the handshake, in bytes. Servers that accept early data usually allow 16 KiB.
    static let maxSkippedEarlyData = 64 * 1024
    /// The limit on the record headers of skipped early data, in bytes.
    private static let earlyDataHeaders = 4 * 1024
    /// The limit on post-handshake messages (KeyUpdate, tickets) and rejected renegotiations per MiB of data. They cost the sender nothing but
    /// the receiver a key derivation or a reply, and OpenSSL limits only empty records and warnings.
    static let maxPostHandshakeMessages = 32
    private static let floodWindow = 1024 * 1024

    enum HandshakeProgress {
        case wantsMore
        case done
        case failed(TLSError)
    }

    enum ReadProgress {
        /// All received bytes are decrypted.
        case drained
        /// The buffer is full; call again.
        case full
        /// close_notify was received.
        case closed
        case failed(TLSError)
    }

    let buffers: TLSBuffers
    /// Received bytes that OpenSSL hasn't read yet.
    var incoming = ByteBuffer()
    /// The bytes of an incomplete record that OpenSSL has read.
    private(set) var partialRecordBytes = 0
    private(set) var isEstablished = false

    private let ssl: OpaquePointer
    /// The owner of the `SSL_CTX`, kept alive.
    private let context: AnyObject
    private var handshakeBytes = 0
    private var postHandshakeMessages = 0
    private var bytesInWindow = 0
    private var isFlooded = false
    private var alert: TLSAlert?

    /// Creates a connection that retains `context`, which the callbacks of the `SSL_CTX` use. `nil` when OpenSSL is out of memory.
    init?(sslContext: OpaquePointer, keeping context: AnyObject, isServer: Bool, buffers: TLSBuffers) {
        OpenSSLErrors.clear()
        guard let ssl = SSL_new(sslContext) else { return nil }
        self.ssl = ssl
        self.context = context
        self.buffers = buffers
        // After all stored properties are set, a failure runs `deinit`, which frees the SSL.
        guard let bio = TLSTransport.makeBIO(for: self) else { return nil }
        SSL_set_bio(ssl, bio, bio)
        SSL_set_msg_callback(ssl, observe)
        parley_SSL_set_msg_callback_arg(ssl, Unmanaged.passUnretained(self).toOpaque())
        if isServer { SSL_set_accept_state(ssl) } else { SSL_set_connect_state(ssl) }
    }

    deinit {
        SSL_free(ssl)
    }

    /// Calls `body` with the `SSL`, for the settings of ``TLSClientContext``.
    func withSSL<Result>(_ body: (OpaquePointer) -> Result) -> Result {
        body(ssl)
    }

    // MARK: Steps

    func handshake() -> HandshakeProgress {
        OpenSSLErrors.clear()
        let result = SSL_do_handshake(ssl)
        if result == 1 {
            isEstablished = true
            partialRecordBytes = 0
            alert = nil
            return .done
        }
        if isFlooded {
            return .failed(.handshakeFailed(reason: "the handshake exceeds \(Self.maxHandshakeBytes) bytes", alert: alert))
        }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE:
            return .wantsMore
        case SSL_ERROR_ZERO_RETURN:
            return .failed(.closedDuringHandshake)
        default:
            return .failed(.handshakeFailed(reason: takeReason(), alert: alert))
        }
    }

    /// Decrypts as many records as fit into the free space of `buffer`.
    func read(into buffer: inout ByteBuffer) -> ReadProgress {
        while true {
            if buffer.writableBytes == 0 {
                // The buffer is sized for the bytes of one read, but a record may be larger, because part of it was received earlier.
                let rest = Int(SSL_pending(ssl))
                guard buffer.readableBytes < TLSBuffers.capacity else { return .full }
                buffer.reserveCapacity(minimumWritableBytes: max(rest, 1024))
            }
            OpenSSLErrors.clear()
            var result: Int32 = 0
            let count = buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: 0) { target in
                var count = 0
                result = SSL_read_ex(ssl, target.baseAddress, target.count, &count)
                return result == 1 ? count : 0
            }
            guard result == 1 else { return readFailed(result) }
            // OpenSSL reads one record at a time.
            partialRecordBytes = 0
            countData(count)
            // Another call would return nothing, but OpenSSL would allocate and free a buffer for a whole record.
            if incoming.readableBytes == 0, SSL_has_pending(ssl) == 0 { return .drained }
        }
    }

    /// Encrypts `bytes`, at most 16 KiB, into one record. A returned error must close the connection.
    func seal(_ bytes: UnsafeRawBufferPointer) -> TLSError? {
        OpenSSLErrors.clear()
        var count = 0
        let result = SSL_write_ex(ssl, bytes.baseAddress, bytes.count, &count)
        if result == 1, count == bytes.count { return nil }
        return .protocolFailure(reason: OpenSSLErrors.takeReason() ?? "a record can't be written", alert: alert)
    }

    /// Writes close_notify.
    func shutdown() {
        OpenSSLErrors.clear()
        // The result is 1 or 0, depending on whether the peer's close_notify was received; here this doesn't matter.
        if SSL_shutdown(ssl) < 0 { OpenSSLErrors.clear() }
    }

    // MARK: Callbacks from OpenSSL

    /// Moves received bytes to `target` and returns their number.
    func takeIncoming(into target: UnsafeMutableRawBufferPointer) -> Int {
        let count = min(target.count, incoming.readableBytes)
        guard count > 0, !isFlooded else { return 0 }
        if !isEstablished {
            handshakeBytes &+= count
            guard handshakeBytes <= Self.maxHandshakeBytes || skipsEarlyData(handshakeBytes) else {
                isFlooded = true
                return 0
            }
        }
        partialRecordBytes &+= count
        return incoming.readWithUnsafeReadableBytes { source in
            target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source.prefix(count)))
            return count
        }
    }

    /// Returns whether the bytes beyond the handshake limit are rejected early data, which has a limit of its own.
    private func skipsEarlyData(_ count: Int) -> Bool {
        SSL_get_early_data_status(ssl) == SSL_EARLY_DATA_REJECTED
            && count <= Self.maxHandshakeBytes + Self.maxSkippedEarlyData + Self.earlyDataHeaders
    }

    fileprivate func recordAlert(level: UInt8, code: UInt8, isSent: Bool) {
        // The first fatal alert is the cause; close_notify isn't a failure.
        guard code != TLSAlert.closeNotify, alert?.isFatal != true else { return }
        alert = TLSAlert(direction: isSent ? .sent : .received, code: code, isFatal: Int32(level) == SSL3_AL_FATAL)
        if isSent, isEstablished { countPostHandshakeMessage() }
    }

    fileprivate func countPostHandshakeMessage() {
        guard isEstablished else { return }
        partialRecordBytes = 0
        postHandshakeMessages &+= 1
        if postHandshakeMessages > Self.maxPostHandshakeMessages { isFlooded = true }
    }

    private func countData(_ count: Int) {
        bytesInWindow &+= count
        if bytesInWindow >= Self.floodWindow {
            bytesInWindow = 0
            postHandshakeMessages = 0
        }
    }

    private func readFailed(_ result: Int32) -> ReadProgress {
        if isFlooded {
            return .failed(.protocolFailure(reason: "too many handshake messages after the handshake", alert: alert))
        }
        switch SSL_get_error(ssl, result) {
        case SSL_ERROR_WANT_READ, SSL_ERROR_WANT_WRITE: return .drained
        case SSL_ERROR_ZERO_RETURN: return .closed
        default: return .failed(.protocolFailure(reason: takeReason(), alert: alert))
        }
    }

    private func takeReason() -> String {
        var reason = OpenSSLErrors.takeReason() ?? "OpenSSL gave no reason"
        let verdict = SSL_get_verify_result(ssl)
        if reason.hasPrefix("certificate verify failed"), verdict != Int(X509_V_OK), let text = X509_verify_cert_error_string(verdict) {
            reason += ": " + String(cString: text)
        }
        return reason
    }
}

/// Called by OpenSSL for every message received or sent; must not trap.
private func observe(
    isSent: Int32, version: Int32, type: Int32, bytes: UnsafeRawPointer?, count: Int, ssl: OpaquePointer?,
    argument: UnsafeMutableRawPointer?
) {
    guard type == SSL3_RT_ALERT || type == SSL3_RT_HANDSHAKE, let argument, let bytes else { return }
    let connection = Unmanaged<TLSConnection>.fromOpaque(argument).takeUnretainedValue()
    let message = UnsafeRawBufferPointer(start: bytes, count: count)
    if type == SSL3_RT_HANDSHAKE {
        if isSent == 0 { connection.countPostHandshakeMessage() }
    } else if message.count >= 2 {
        connection.recordAlert(level: message[0], code: message[1], isSent: isSent == 1)
    }
}
