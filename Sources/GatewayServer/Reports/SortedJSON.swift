package import FoundationEssentials

/// JSON as operators get it: the fields of an object in the order of their names.
package enum SortedJSON {
    package static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(value)
    }
}
