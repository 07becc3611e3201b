// SPDX-License-Identifier: Apache-2.0

import Foundation

/// The entry point of the process.
@main
enum Main {
    static func main() async {
        do throws(ProcessArguments.Fault) {
            let arguments = try ProcessArguments.read()
            if let status = Assembly.exitStatusWithoutProc(arguments) { exit(status) }
            await Parley.run(arguments)
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            exit(Assembly.configurationError)
        }
    }
}
