// SPDX-License-Identifier: Apache-2.0

/// An error that describes an unmet expectation of a test.
package struct TestFailure: Error, CustomStringConvertible {
    package let description: String

    package init(_ description: String) { self.description = description }
}
