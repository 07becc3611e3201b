// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The repository that the tests belong to.
package enum Repository {
    /// The path of its top directory, without a slash at the end.
    package static let path = (0..<3).reduce(#filePath) { path, _ in (path as NSString).deletingLastPathComponent }
}
