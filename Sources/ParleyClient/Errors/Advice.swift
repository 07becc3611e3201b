// SPDX-License-Identifier: Apache-2.0

/// A text for people about the connection or an error. The raw value is the key for translations.
public enum Advice: String, Sendable, CaseIterable {
    case reconnecting, resumed, restarted, offline, queued, network, slow, unreachable, certificate, proxy, busy, restart, failed, lost
    case cancelled, address, violations, quota, elsewhere, ended, expired, closed, recording, dropped, bug
    case offlineQueued = "offline_queued"
    case gaveUp = "gave_up"
    case signIn = "sign_in"
    case notAllowed = "not_allowed"
    case notFound = "not_found"
    case slowDown = "slow_down"
    case tooLong = "too_long"
    case queueFull = "queue_full"

    /// The English text. `{seconds}` is a placeholder.
    public var text: String {
        switch self {
        case .reconnecting: "The connection was lost. Trying again in {seconds} s."
        case .resumed: "Connected again. Nothing was lost."
        case .restarted: "Connected again, but the conversation couldn't be continued."
        case .offline: "You are offline."
        case .offlineQueued: "You are offline. Your message will be sent when you are back."
        case .queued: "Your message will be sent when you are connected."
        case .network: "The connection was lost. Reconnecting."
        case .slow: "The connection is slow. Responses may be late."
        case .unreachable: "The service can't be reached at the moment."
        case .gaveUp: "The service can't be reached. Check your connection and try again."
        case .certificate: "The connection isn't secure: the certificate of the service can't be verified."
        case .proxy: "The network's proxy doesn't let the connection through."
        case .busy: "The service is busy. Trying again."
        case .restart: "The service is restarting. Reconnecting."
        case .failed: "The response failed. Please try again."
        case .lost: "The response was lost. Please send your message again."
        case .cancelled: "The response was cancelled."
        case .signIn: "Your sign-in isn't valid. Please sign in again."
        case .notAllowed: "You aren't allowed to do this."
        case .address: "The address of the service is wrong."
        case .notFound: "There is nothing to do this with."
        case .slowDown: "You are sending too fast. Your message will be sent in a moment."
        case .violations: "The service rejected too many messages of the application."
        case .quota: "Your quota is used up. Please come back later."
        case .tooLong: "The message is too long. Please shorten it."
        case .queueFull: "Too many messages are waiting. Try again when you are connected."
        case .elsewhere: "The conversation continues elsewhere. It stopped here."
        case .ended: "The service ended the conversation."
        case .expired: "The conversation has expired. A new one was started."
        case .closed: "The conversation is closed."
        case .recording: "The recording can't be used. Please record it again."
        case .dropped: "The connection was away for too long. Please record it again."
        case .bug: "The application and the service don't understand each other."
        }
    }

    /// Returns the text with its placeholder replaced.
    ///
    /// - Parameters:
    ///   - translations: texts by raw value, in place of the English ones
    ///   - seconds: the value of `{seconds}`
    public func text(translations: [String: String] = [:], seconds: Int? = nil) -> String {
        Self.replacing("{seconds}", in: translations[rawValue] ?? text, with: seconds.map(String.init) ?? "")
    }

    private static func replacing(_ placeholder: String, in text: String, with value: String) -> String {
        guard let range = text.firstRange(of: placeholder) else { return text }
        return text.replacingCharacters(range, with: value)
    }
}

extension String {
    fileprivate func replacingCharacters(_ range: Range<Index>, with value: String) -> String {
        String(self[..<range.lowerBound]) + value + String(self[range.upperBound...])
    }
}
