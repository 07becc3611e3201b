// SPDX-License-Identifier: Apache-2.0

import Hummingbird
import HummingbirdCore

/// The parameters of lists that are returned in pages.
extension Request {
    /// Returns the parameter `limit`, the number of entries per page from 1 to `maximum`; the default without it. Throws 400 for another
    /// value.
    func pageSize(upTo maximum: Int, default size: Int) throws -> Int {
        guard let text = uri.queryParameters["limit"] else { return size }
        guard let number = Int(text), (1...maximum).contains(number) else {
            throw OperationsProblem.invalid("limit must be a number from 1 to \(maximum)")
        }
        return number
    }
}

extension OperationsProblem {
    static var invalidCursor: OperationsProblem { invalid("invalid cursor; pass the cursor of the previous page") }
}
