// SPDX-License-Identifier: Apache-2.0

import GatewayCore
import NIOCore
import NIOHTTP1

/// Authenticates clients, and attaches their sessions.
extension UpgradeHandler {
    /// Authenticates the client and attaches its session. If no key matches the token, the keys are fetched first.
    func authenticate(
        _ request: UpgradeRequest, resuming resumeRequest: ResumeRequest?, head: HTTPRequestHead, context: ChannelHandlerContext,
        isFinal: Bool = false
    ) throws(UpgradePolicy.Rejection) {
        let authentication = try UpgradePolicy.authenticate(
            request, resuming: resumeRequest, connection: connection, loop: loop, isFinal: isFinal)
        switch authentication {
        case .granted(let grant):
            try UpgradePolicy.admit(connection.client, loop: loop)
            connection.countsAsWebSocket = true
            if let grant {
                try UpgradePolicy.authorize(grant, resuming: resumeRequest, connection: connection, sessions: sessions)
                loop.audit(.authenticate, of: connection, [.init("method", loop.shared.access.mode.rawValue)])
            }
            guard let grant, let access = loop.shared.cluster?.access, access.countsConnections else {
                return attach(request, resuming: resumeRequest, head: head, context: context)
            }
            state = .resuming
            gate.beginBuffering()
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            access.admit(connection.id, of: grant.user, resuming: resumeRequest?.token) { admission in
                bound.eventLoop.execute {
                    let (handler, context) = bound.value
                    handler.counted(admission, for: request, resuming: resumeRequest, head: head, context: context)
                }
            }
        case .unknownKey:
            state = .resuming
            gate.beginBuffering()
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            loop.shared.access.refreshKeys {
                bound.eventLoop.execute {
                    let (handler, context) = bound.value
                    handler.keysRefreshed(for: request, resuming: resumeRequest, head: head, context: context)
                }
            }
        }
    }

    /// Attaches the session of a connection that the shared store has counted.
    private func counted(
        _ admission: ClusterAccess.Admission, for request: UpgradeRequest, resuming resumeRequest: ResumeRequest?, head: HTTPRequestHead,
        context: ChannelHandlerContext
    ) {
        guard case .resuming = state, context.channel.isActive else { return }
        attempt(request, head: head, context: context) { () throws(UpgradePolicy.Rejection) in
            switch admission {
            case .admitted: attach(request, resuming: resumeRequest, head: head, context: context)
            case .full: throw UpgradePolicy.userLimit
            case .unavailable: throw UpgradePolicy.storeUnavailable
            }
        }
    }

    /// Attaches the session to resume, or a new one, to the connection of an authenticated client.
    private func attach(
        _ request: UpgradeRequest, resuming resumeRequest: ResumeRequest?, head: HTTPRequestHead, context: ChannelHandlerContext
    ) {
        guard var resumeRequest else { return begin(request, as: .new, head: head, context: context) }
        resumeRequest.user = connection.grant?.user
        resume(resumeRequest, request: request, head: head, context: context)
    }

    private func keysRefreshed(
        for request: UpgradeRequest, resuming resumeRequest: ResumeRequest?, head: HTTPRequestHead, context: ChannelHandlerContext
    ) {
        guard case .resuming = state, context.channel.isActive else { return }
        attempt(request, head: head, context: context) { () throws(UpgradePolicy.Rejection) in
            try authenticate(request, resuming: resumeRequest, head: head, context: context, isFinal: true)
        }
    }

    /// Begins a new session, immediately unless memory must be reclaimed first.
    private func begin(
        _ request: UpgradeRequest, as kind: SessionDriver.AttachmentKind, head: HTTPRequestHead, context: ChannelHandlerContext
    ) {
        guard loop.isShortOfMemory else { return beginImmediately(request, as: kind, head: head, context: context) }
        state = .resuming
        gate.beginBuffering()
        loop.reclaimForNewSession { [self] in
            guard case .resuming = state, context.channel.isActive else { return }
            beginImmediately(request, as: kind, head: head, context: context)
        }
    }

    private func beginImmediately(
        _ request: UpgradeRequest, as kind: SessionDriver.AttachmentKind, head: HTTPRequestHead, context: ChannelHandlerContext
    ) {
        guard let grant = connection.grant, grant.uses > 0, !loop.isShortOfMemory else {
            return open(.spent, for: request, as: kind, head: head, context: context)
        }
        state = .resuming
        gate.beginBuffering()
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let proceed: @Sendable (AccessControl.Spending) -> Void = { spending in
            let (handler, context) = bound.value
            guard case .resuming = handler.state, context.channel.isActive else {
                if spending == .spent { handler.loop.shared.access.refund(grant) }
                return
            }
            handler.open(spending, for: request, as: kind, head: head, context: context)
        }
        loop.shared.access.spend(grant) { spending in
            if bound.eventLoop.inEventLoop { proceed(spending) } else { bound.eventLoop.execute { proceed(spending) } }
        }
    }

    /// Opens a new session, unless the client's token has no use left.
    private func open(
        _ spending: AccessControl.Spending, for request: UpgradeRequest, as kind: SessionDriver.AttachmentKind, head: HTTPRequestHead,
        context: ChannelHandlerContext
    ) {
        attempt(request, head: head, context: context) { () throws(UpgradePolicy.Rejection) in
            guard !loop.isShortOfMemory else { throw UpgradePolicy.insufficientMemory }
            try UpgradePolicy.check(spending, of: connection, loop: loop)
            guard let driver = sessions.begin(for: connection.subject) else {
                if let grant = connection.grant { loop.shared.access.refund(grant) }
                throw UpgradePolicy.sessionLimit
            }
            driver.attach(to: connection, as: kind)
            open(driver, request: request, limits: loop.settings.webSocket, context: context)
        }
    }

    /// Resumes a session: immediately if it is on this event loop, otherwise after its transfer from another one.
    private func resume(_ resumeRequest: ResumeRequest, request: UpgradeRequest, head: HTTPRequestHead, context: ChannelHandlerContext) {
        state = .resuming
        gate.beginBuffering()
        if let cluster = loop.shared.cluster {
            // The request is complete; its session may be on a node whose lease has to end first.
            connection.deadline = loop.clock.now + .nanoseconds((cluster.patience + .seconds(5)).clampedNanoseconds)
        }
        sessions.resume(resumeRequest, for: connection.subject) { [self] resumption in
            guard case .resuming = state, context.channel.isActive else {
                if case .found(let driver, _) = resumption { driver.registerDetached() }
                return
            }
            attempt(request, head: head, context: context) { () throws(UpgradePolicy.Rejection) in
                switch resumption {
                case .found(let driver, let token):
                    driver.attach(to: connection, as: .resumed(by: token, after: resumeRequest.last))
                    open(driver, request: request, limits: loop.settings.webSocket, context: context)
                case .rejected(let error): begin(request, as: .newAfterFailedResume(error), head: head, context: context)
                case .full: throw UpgradePolicy.sessionLimit
                case .unavailable: throw UpgradePolicy.storeUnavailable
                }
            }
        }
    }
}
