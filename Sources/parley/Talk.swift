import ArgumentParser

struct Talk: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Talk to a gateway from the terminal.")
    func run() async throws {}
}
