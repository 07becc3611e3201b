import CArguments

/// The arguments of this process, from where C has them.
///
/// `CommandLine.arguments` is read from `/proc/self/cmdline`. Where that file can't be read, the list is empty, and a gateway that was to
/// be production would start with the defaults of development.
enum ProcessArguments {
    /// Why the arguments aren't known.
    enum Fault: Error, CustomStringConvertible {
        /// The process was started without any, its own name included.
        case none
        /// An argument isn't UTF-8; counted from 1, as `$1` in a shell.
        case notUTF8(Int)

        var description: String {
            switch self {
            case .none: "The arguments of this process can't be read; it doesn't start without them."
            case .notUTF8(let number): "Argument \(number) isn't UTF-8."
            }
        }
    }

    /// The arguments behind the program's name.
    static func read() throws(Fault) -> [String] {
        let count = parley_argument_count()
        guard count > 0 else { throw .none }
        var arguments: [String] = []
        for index in 1..<max(1, count) {
            guard let pointer = parley_argument(index) else { throw .none }
            // A repaired text would be another path, or another value, than the one asked for.
            guard let text = String(validatingCString: pointer) else { throw .notUTF8(Int(index)) }
            arguments.append(text)
        }
        return arguments
    }
}
