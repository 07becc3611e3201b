import ArgumentParser
import Foundation
import GatewayCore
import GatewayServer
import UnixSignals

/// `parley talk`: a conversation with a gateway from the terminal or from a script.
struct Talk: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Talk to a gateway from the terminal.", usage: "parley talk <url> [options]",
        discussion: "All options: parley talk --help")

    /// Parsed in ``run()``, because a wrong one exits with 2 here and not with the 64 of the other commands.
    @Argument(parsing: .captureForPassthrough, help: ArgumentHelp("The gateway's URL and options.", visibility: .hidden))
    var arguments: [String] = []

    func run() async throws {
        let status = await Self.talk(arguments)
        guard status != .answered else { return }
        throw ExitCode(status.rawValue)
    }

    private static func talk(_ arguments: [String]) async -> TalkStatus {
        let plan: TalkPlan
        do {
            plan = try TalkPlan(try TalkArguments.parse(arguments))
        } catch {
            let message = TalkArguments.fullMessage(for: error)
            guard TalkArguments.exitCode(for: error) != .success else {
                print(message)
                return .answered
            }
            TalkTerminal.complain(message)
            return .usage
        }
        let begun = ContinuousClock.now
        do throws(GatewayClientError) {
            let client = try await GatewayClient.connect(to: plan.url, options: plan.options)
            let taken = ClientText.milliseconds((ContinuousClock.now - begun).clampedNanoseconds)
            let greeting = "connected to \(plan.url) in \(taken)\(client.tls.map { ", TLS \($0.version.rawValue)" } ?? "")"
            return await converse(client, plan: plan, greeting: greeting)
        } catch {
            TalkTerminal.complain("\(ClientText.safe("\(plan.url): \(error)"))\(hint(error, plan: plan))")
            return TalkStatus(error)
        }
    }

    /// Talks until the end; Ctrl-C says bye first, and the second one ends it at once.
    private static func converse(_ client: GatewayClient, plan: TalkPlan, greeting: String) async -> TalkStatus {
        await withTaskGroup(of: TalkStatus?.self) { group in
            group.addTask {
                var isSecond = false
                for await _ in await UnixSignalsSequence(trapping: .sigint, .sigterm) {
                    if isSecond { return .interrupted }
                    isSecond = true
                    client.insert(Conversation.interrupt)
                }
                return nil
            }
            group.addTask {
                let terminal = TalkTerminal(isQuiet: plan.isQuiet, isJSON: plan.isJSON)
                terminal.notice(greeting)
                return await Conversation(client: client, plan: plan, terminal: terminal).run()
            }
            var status: TalkStatus?
            while status == nil, let result = await group.next() { status = result }
            group.cancelAll()
            return status ?? .interrupted
        }
    }

    private static func hint(_ error: GatewayClientError, plan: TalkPlan) -> String {
        guard case .tls(let reason) = error, reason.contains("certificate verify failed") else { return "" }
        return plan.options.verification == .system ? "\nhint: --ca FILE trusts an authority of your own, --insecure any certificate" : ""
    }
}
