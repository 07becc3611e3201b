// SPDX-License-Identifier: Apache-2.0

import ArgumentParser
import Foundation
import GatewayCore
import GatewayServer
import GatewayTLS
import ParleyClient
import UnixSignals

/// `parley talk`: a conversation with a gateway from the terminal or from a script.
struct Talk: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Talk to a gateway from the terminal.", usage: "parley talk <url> [options]",
        discussion: "All options: parley talk --help")

    /// Parsed in ``run()``, because invalid arguments exit with 2 here, and with 64 in the other commands.
    @Argument(parsing: .captureForPassthrough, help: ArgumentHelp("The gateway's URL and options.", visibility: .hidden))
    var arguments: [String] = []

    func run() async throws {
        // With SIGPIPE ignored, a closed pipe is a write error (EPIPE), after which the terminal mode can be restored.
        signal(SIGPIPE, SIG_IGN)
        Descriptor.ensureStandard()
        let (status, isOutputClosed) = await Self.talk(arguments)
        TerminalMode.leave()
        if isOutputClosed {
            // Exits by SIGPIPE, as other programs in a pipeline do.
            DefaultSignal.raise(SIGPIPE)
        }
        guard status != .completed else { return }
        throw ExitCode(status.rawValue)
    }

    private static func talk(_ arguments: [String]) async -> (status: TalkStatus, isOutputClosed: Bool) {
        let plan: TalkPlan
        do {
            plan = try TalkPlan(try TalkArguments.parse(TalkArguments.arguments(arguments)))
        } catch {
            let message = TalkArguments.fullMessage(for: error)
            guard TalkArguments.exitCode(for: error) != .success else {
                print(message)
                return (.completed, false)
            }
            TalkTerminal.printError(message)
            return (.usage, false)
        }
        if plan.exposesToken, !plan.isQuiet {
            TalkTerminal.printError("warning: other users of this machine can read the token; use --token-file FILE or --token -")
        }
        let begun = ContinuousClock.now
        do throws(ClientWebSocketError) {
            let client = try await ClientWebSocket.connect(to: plan.url, options: plan.options)
            let elapsed = ClientText.milliseconds((ContinuousClock.now - begun).clampedNanoseconds)
            let summary = "connected to \(plan.url) in \(elapsed)\(client.tls.map { ", TLS \($0.version.rawValue)" } ?? "")"
            return await converse(client, plan: plan, summary: summary)
        } catch {
            TalkTerminal.printError("\(ClientText.safe("\(plan.url): \(error)"))\(hint(error, plan: plan))")
            return (TalkStatus(error), false)
        }
    }

    /// Runs a conversation to its end. The first Ctrl-C sends `bye`; the second one exits at once.
    private static func converse(
        _ client: ClientWebSocket, plan: TalkPlan, summary: String
    ) async -> (status: TalkStatus, isOutputClosed: Bool) {
        // Signals are trapped before raw mode is entered: otherwise a signal would end the program without restoring the terminal mode.
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sigwinch)
        let screen = plan.steps.isEmpty && TerminalMode.canEdit && TerminalMode.enter() ? TalkScreen(history: plan.pastLines) : nil
        let inserter = EventInserter(client)
        return await withTaskGroup(of: (TalkStatus, Bool)?.self) { group in
            group.addTask {
                var isSecond = false
                for await signal in signals {
                    if signal == .sigwinch {
                        screen?.resize()
                        continue
                    }
                    if isSecond { return (.interrupted, false) }
                    isSecond = true
                    inserter.insert(.interrupt)
                }
                return nil
            }
            group.addTask {
                let terminal = TalkTerminal(screen: screen, isQuiet: plan.isQuiet, isJSON: plan.isJSON)
                terminal.notice(summary)
                let conversation = Conversation(client: client, inserter: inserter, plan: plan, terminal: terminal)
                var status = await conversation.run()
                screen?.hide()
                if let screen, let file = plan.history {
                    do throws(FileFault) { try file.write(screen.history) } catch { terminal.error("\(error)") }
                }
                await plan.player?.drain()
                if let failure = plan.player?.failure {
                    terminal.error(ClientText.safe(failure))
                    if status == .completed { status = .usage }
                }
                return (status, conversation.isOutputClosed)
            }
            var end: (TalkStatus, Bool)?
            while end == nil, let result = await group.next() { end = result }
            group.cancelAll()
            return end ?? (.interrupted, false)
        }
    }

    private static func hint(_ error: ClientWebSocketError, plan: TalkPlan) -> String {
        guard case .tls(let reason) = error, reason.contains("certificate verify failed") else { return "" }
        return plan.options.verification == .system ? "\nhint: --ca FILE trusts your own CA, --insecure accepts any certificate" : ""
    }
}
