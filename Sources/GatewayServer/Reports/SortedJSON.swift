// SPDX-License-Identifier: Apache-2.0

package import FoundationEssentials

/// JSON for operators, with the fields of every object sorted by name.
package enum SortedJSON {
    package static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value)
    }
}
