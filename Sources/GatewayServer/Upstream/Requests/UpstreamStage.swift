// SPDX-License-Identifier: Apache-2.0

package import GatewayCore

/// An upstream as a stage of a chain, on one event loop.
package final class UpstreamStage {
    package let pool: UpstreamPool
    package let policy: CallPolicy
    package let transport: any UpstreamTransport

    package init(pool: UpstreamPool, policy: CallPolicy, transport: any UpstreamTransport) {
        self.pool = pool
        self.policy = policy
        self.transport = transport
    }
}

/// The stages of a route, on one event loop.
package final class UpstreamStages {
    package let chain: Chain
    /// The upstreams of the stages of ``chain``, in the same order.
    package let list: [UpstreamStage]
    /// The synthesize stage, as a chain for one sentence at a time; nil where the chain has none.
    package let speech: UpstreamStages?

    package init(_ chain: Chain, _ list: [UpstreamStage]) {
        self.chain = chain
        self.list = list
        speech = chain.stages.last?.role == .synthesize ? list.last.map { UpstreamStages(Chain([.init(role: .any)]), [$0]) } : nil
    }
}
