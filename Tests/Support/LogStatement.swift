// SPDX-License-Identifier: Apache-2.0

import Foundation

/// A statement of the source code that writes log lines.
///
/// The search finds calls of swift-log's methods on anything named `…logger`, calls of functions with a parameter of the type
/// `Logger.Message`, and ``LogLine`` values with a literal message.
package struct LogStatement: Sendable {
    /// The file, relative to the root of the repository, and the line.
    package let location: String
    /// The literal messages, with `…` for an interpolation; empty if there is none.
    package let messages: [String]
    package let levels: Set<String>
    /// The names of the fields, as far as they are literals.
    package let fields: Set<String>

    package static let allLevels = ["trace", "debug", "info", "notice", "warning", "error", "critical"]

    /// The statements in the files below `directory`, a path relative to the root of the repository.
    package static func all(in directory: String) throws -> [Self] {
        let root = Repository.path + "/" + directory
        let sources = try FileManager.default.subpathsOfDirectory(atPath: root).sorted().filter { $0.hasSuffix(".swift") }
            .map { (path: directory + "/" + $0, text: try String(contentsOfFile: root + "/" + $0, encoding: .utf8)) }
            .filter {
                $0.text.contains("ogger") || $0.text.contains("LogLine(") || $0.text.contains("og(") || $0.text.contains("logWarning(")
            }
            .map { SwiftSource(path: $0.path, $0.text) }
        return statements(in: sources)
    }

    package static func statements(in sources: [SwiftSource]) -> [Self] {
        var search = LogStatementSearch(sources)
        return search.run()
    }
}

/// The search for log statements in files.
struct LogStatementSearch {
    /// A function with a parameter for the message.
    private struct Helper {
        let name: String
        let labels: [String]
        let required: Int
        let message: Int
        let level: Int?
        let levels: Set<String>
        let fields: Set<String>
    }

    /// A function or property that returns fields.
    private struct Provider {
        let name: String
        let isProperty: Bool
        /// The file. A function, whose name may be common, is found in it only.
        let path: String
        let fields: Set<String>
    }

    private let files: [(source: SwiftSource, functions: [SwiftSource.Function])]
    private var helpers: [Helper] = []
    private var providers: [Provider] = []
    private var found: [LogStatement] = []

    init(_ sources: [SwiftSource]) {
        files = sources.map { ($0, $0.functions) }
    }

    mutating func run() -> [LogStatement] {
        for (source, functions) in files {
            for function in functions {
                let signature = source.string(function.range.lowerBound..<function.range.upperBound)
                if signature.prefix(while: { $0 != "{" }).contains("Logger.Metadata"),
                    !source.string(function.parameters).contains("Logger.Metadata")
                {
                    let isProperty = function.parameters.isEmpty && !signature.hasPrefix("func")
                    providers.append(
                        Provider(
                            name: function.name, isProperty: isProperty, path: source.path, fields: keys(in: function.range, of: source)))
                }
            }
        }
        for (source, functions) in files {
            for function in functions where source.string(function.parameters).contains("Logger.Message") { add(function, of: source) }
        }
        for (source, functions) in files {
            directCalls(in: source, functions)
            helperCalls(in: source, functions)
            values(in: source)
        }
        return found
    }

    // MARK: Functions

    private mutating func add(_ function: SwiftSource.Function, of source: SwiftSource) {
        let parameters = source.elements(in: function.parameters).map { source.string($0).trimmingCharacters(in: .whitespacesAndNewlines) }
        let labels = parameters.map { parameter in
            let name = parameter.prefix { $0 != ":" }.split(separator: " ").first.map(String.init) ?? ""
            return name == "_" ? "" : name
        }
        guard let message = parameters.firstIndex(where: { $0.contains("Logger.Message") }) else { return }
        let level = parameters.firstIndex { $0.contains("Logger.Level") }
        var levels: Set<String> = []
        for level in LogStatement.allLevels where !source.occurrences(of: "ogger.\(level)(", in: function.range).isEmpty {
            levels.insert(level)
        }
        // The level of the call `logger.log(level: .info, …)`.
        if level == nil, levels.isEmpty { levels = levelNames(in: function.range, of: source) }
        helpers.append(
            Helper(
                name: function.name, labels: labels, required: parameters.count { !$0.contains(" = ") }, message: message, level: level,
                levels: levels, fields: keys(in: function.range, of: source)))
    }

    // MARK: Calls

    private mutating func directCalls(in source: SwiftSource, _ functions: [SwiftSource.Function]) {
        for call in calls(in: source) {
            var arguments = source.elements(in: call.arguments)
            var levels: Set<String> = [call.name]
            let function = innermost(functions, at: call.offset)
            if call.name == "log" {
                guard !arguments.isEmpty else { continue }
                levels = self.levels(in: arguments.removeFirst(), of: source, function)
            }
            guard let message = arguments.first else { continue }
            append(
                source, at: call.offset, message: message, arguments: Array(arguments.dropFirst()), levels: levels, function: function,
                fields: [])
        }
    }

    /// Returns the calls of swift-log's methods, with the names of the methods and the ranges between the parentheses.
    private func calls(in source: SwiftSource) -> [(offset: Int, name: String, arguments: Range<Int>)] {
        source.endings(of: "ogger").compactMap { offset in
            var index = offset + 5
            if index < source.text.count, source.text[index] == UInt8(ascii: "?") { index += 1 }
            guard index < source.text.count, source.text[index] == UInt8(ascii: ".") else { return nil }
            let name = String(decoding: source.text[(index + 1)...].prefix(while: SwiftSource.isIdentifier), as: UTF8.self)
            let open = index + 1 + name.utf8.count
            guard open < source.text.count, source.text[open] == UInt8(ascii: "("), let close = source.end(of: open),
                name == "log" || LogStatement.allLevels.contains(name)
            else { return nil }
            return (offset, name, open + 1..<close)
        }
    }

    private mutating func helperCalls(in source: SwiftSource, _ functions: [SwiftSource.Function]) {
        for name in Set(helpers.map(\.name)) {
            for offset in source.occurrences(of: name + "(", in: 0..<source.text.count) {
                let open = offset + name.utf8.count
                guard !source.string(max(0, offset - 5)..<offset).hasSuffix("func "), let close = source.end(of: open) else { continue }
                let arguments = source.elements(in: open + 1..<close)
                let labels = arguments.map { label(of: $0, in: source) }
                let helper = helpers.first {
                    $0.name == name && labels.count >= $0.required && labels.count <= $0.labels.count && $0.labels.starts(with: labels)
                }
                guard let helper else { continue }
                let function = innermost(functions, at: offset)
                let levels = helper.level.map { self.levels(in: arguments[$0], of: source, function) } ?? helper.levels
                append(
                    source, at: offset, message: arguments[helper.message],
                    arguments: arguments.indices.filter { $0 != helper.message }.map { arguments[$0] }, levels: levels, function: function,
                    fields: helper.fields)
            }
        }
    }

    /// Finds lines that are made without a logger.
    private mutating func values(in source: SwiftSource) {
        for offset in source.occurrences(of: "LogLine(", in: 0..<source.text.count) {
            guard let close = source.end(of: offset + 7) else { continue }
            let arguments = source.elements(in: offset + 8..<close)
            guard let message = arguments.first(where: { label(of: $0, in: source) == "message" }),
                !source.literals(in: message).isEmpty
            else { continue }
            let levels = arguments.filter { label(of: $0, in: source) == "level" }.map { levelNames(in: $0, of: source) }
            append(
                source, at: offset, message: message, arguments: arguments, levels: Set(levels.joined()), function: nil, fields: [])
        }
    }

    private mutating func append(
        _ source: SwiftSource, at offset: Int, message: Range<Int>, arguments: [Range<Int>], levels: Set<String>,
        function: SwiftSource.Function?, fields: Set<String>
    ) {
        var messages = source.literals(in: message).map(\.text)
        if messages.isEmpty, let function {
            // The body of a function that gets the message is not a statement of its own.
            if source.string(function.parameters).contains("Logger.Message") { return }
            if let declaration = source.occurrences(of: "Logger.Message", in: function.range.lowerBound..<offset).last {
                messages = source.literals(in: declaration..<offset).map(\.text)
            }
        }
        var fields = fields
        for argument in arguments {
            fields.formUnion(keys(in: argument, of: source))
            if label(of: argument, in: source) == "error" { fields.formUnion(["error.message", "error.type"]) }
            let value = source.string(argument).split(separator: ":").last.map { $0.trimmingCharacters(in: .whitespacesAndNewlines) } ?? ""
            if let function, !value.isEmpty, value.utf8.allSatisfy(SwiftSource.isIdentifier),
                ["metadata", ""].contains(label(of: argument, in: source))
            {
                if let own = providers.first(where: { $0.isProperty && $0.path == source.path && $0.name == value }) {
                    fields.formUnion(own.fields)
                } else {
                    let others = calls(in: source).map(\.arguments).filter { !$0.overlaps(argument) }
                    fields.formUnion(keys(in: function.range, of: source, except: others))
                }
            }
        }
        found.append(
            LogStatement(location: "\(source.path):\(source.line(of: offset))", messages: messages, levels: levels, fields: fields))
    }

    // MARK: Parts

    private func innermost(_ functions: [SwiftSource.Function], at offset: Int) -> SwiftSource.Function? {
        functions.filter { $0.range.contains(offset) }.min { $0.range.count < $1.range.count }
    }

    private func label(of argument: Range<Int>, in source: SwiftSource) -> String {
        let text = source.string(argument).drop { $0.isWhitespace }
        let name = text.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
        return text.dropFirst(name.count).first == ":" ? String(name) : ""
    }

    /// Returns the keys of dictionary literals and subscripts in a range, and the fields of the providers that it uses.
    private func keys(in range: Range<Int>, of source: SwiftSource, except others: [Range<Int>] = []) -> Set<String> {
        var result: Set<String> = []
        for literal in source.literals(in: range) where !others.contains(where: { $0.overlaps(literal.range) }) {
            let next = literal.range.upperBound < source.text.count ? source.text[literal.range.upperBound] : 0
            let previous = literal.range.lowerBound > 0 ? source.text[literal.range.lowerBound - 1] : 0
            let isSubscript = previous == UInt8(ascii: "[") && next == UInt8(ascii: "]")
            let isName = literal.text.utf8.allSatisfy { SwiftSource.isIdentifier($0) || $0 == UInt8(ascii: ".") }
            // A subscript's own bracket follows the name of a variable.
            let isVariable = literal.range.lowerBound > 1 && SwiftSource.isIdentifier(source.text[literal.range.lowerBound - 2])
            if isName, next == UInt8(ascii: ":") || isSubscript && isVariable { result.insert(literal.text) }
        }
        for provider in providers where provider.isProperty || provider.path == source.path {
            let use = provider.isProperty ? "." + provider.name : provider.name + "("
            let offsets = source.occurrences(of: use, in: range).filter { !source.string(max(0, $0 - 5)..<$0).hasSuffix("func ") }
            if !offsets.isEmpty { result.formUnion(provider.fields) }
        }
        return result
    }

    private func levelNames(in range: Range<Int>, of source: SwiftSource) -> Set<String> {
        Set(LogStatement.allLevels.filter { !source.occurrences(of: "." + $0, in: range).isEmpty })
    }

    /// Returns the levels that an argument names, or its variable's declaration.
    private func levels(in argument: Range<Int>, of source: SwiftSource, _ function: SwiftSource.Function?) -> Set<String> {
        let names = levelNames(in: argument, of: source)
        guard names.isEmpty, let function,
            let start = source.occurrences(of: ": Logger.Level =", in: function.range.lowerBound..<argument.lowerBound).last
        else { return names }
        let end = source.text[start...].firstIndex(of: 0x0A) ?? argument.lowerBound
        return levelNames(in: start..<end, of: source)
    }
}
