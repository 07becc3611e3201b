// SPDX-License-Identifier: Apache-2.0

import CArguments

/// The arguments of this process, read from the C runtime.
///
/// `CommandLine.arguments` is read from `/proc/self/cmdline`. If that file can't be read, the list is empty, and a production gateway would
/// start with development defaults.
enum ProcessArguments {
    /// The reason why the arguments can't be read.
    enum Fault: Error, CustomStringConvertible {
        /// The process was started with an empty argument list, without even a program name.
        case none
        /// The number of an argument that isn't UTF-8, counted from 1, as `$1` in a shell.
        case notUTF8(Int)

        var description: String {
            switch self {
            case .none: "The process arguments can't be read; start parley with its program name as the first argument."
            case .notUTF8(let number): "Argument \(number) isn't UTF-8."
            }
        }
    }

    /// Returns the arguments after the program name.
    static func read() throws(Fault) -> [String] {
        let count = parley_argument_count()
        guard count > 0 else { throw .none }
        var arguments: [String] = []
        for index in 1..<max(1, count) {
            guard let pointer = parley_argument(index) else { throw .none }
            // Repairing the text would silently change a path or value.
            guard let text = String(validatingCString: pointer) else { throw .notUTF8(Int(index)) }
            arguments.append(text)
        }
        return arguments
    }
}
