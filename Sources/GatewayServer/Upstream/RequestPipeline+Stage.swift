extension RequestPipeline {
    /// One upstream, as the event loop has it.
    final class Stage {
        let target: CallTarget
        let maker: any ServiceLoop
        let role: GatewayConfiguration.Upstream.Role
        let takesRecordings: Bool
        /// Whether a speaker is given texts without Markdown.
        let stripsMarkdown: Bool

        init(_ upstream: Upstream, maker: any ServiceLoop) {
            target = upstream.target
            role = upstream.role
            takesRecordings = upstream.takesRecordings
            stripsMarkdown = upstream.configuration.stripMarkdown
            self.maker = maker
        }
    }
}
