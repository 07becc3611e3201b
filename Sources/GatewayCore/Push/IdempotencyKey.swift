// SPDX-License-Identifier: Apache-2.0

/// The value of the header `Idempotency-Key`: 1 to 64 characters of `[A-Za-z0-9._:-]`.
package enum IdempotencyKey {
    package static func isValid(_ text: String) -> Bool { MessageID(text) != nil }
}
