import Foundation

/// Where the process begins.
@main
enum Main {
    static func main() async {
        do throws(ProcessArguments.Fault) {
            await Parley.run(try ProcessArguments.read())
        } catch {
            FileHandle.standardError.write(Data("\(error)\n".utf8))
            exit(Assembly.configurationError)
        }
    }
}
