// SPDX-License-Identifier: Apache-2.0

import Foundation
import Support
import Testing

/// The license line at the top of every source file.
@Suite("The license line") struct LicenseTests {
    private static let identifier = "SPDX-License-Identifier: Apache-2.0"
    private static let kinds: Set<String> = ["swift", "c", "h", "hpp", "cpp", "modulemap", "sh", "py", "yaml"]

    /// Returns the source files in a directory, except build output and fuzzing inputs.
    private static func files(in directory: String) throws -> [String] {
        let root = Repository.path + "/" + directory
        return try FileManager.default.subpathsOfDirectory(atPath: root)
            .filter { kinds.contains(($0 as NSString).pathExtension) }
            .filter { !$0.split(separator: "/").contains { [".build", "Corpus", "Linked"].contains($0) } }
            .map { root + "/" + $0 }
    }

    @Test(arguments: ["Sources", "Tests", "deploy", "config"])
    func `every source file names its license in the first line, or after a line that must come first`(directory: String) throws {
        for file in try Self.files(in: directory) {
            var lines = try String(contentsOfFile: file, encoding: .utf8).split(
                separator: "\n", maxSplits: 2, omittingEmptySubsequences: false)
            if lines.first?.hasPrefix("#!") == true || lines.first?.hasPrefix("// swift-tools-version") == true { lines.removeFirst() }
            let line = lines.first.map(String.init) ?? ""
            #expect(line == "// " + Self.identifier || line == "# " + Self.identifier, "\(file)")
        }
    }
}
