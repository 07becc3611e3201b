import GatewayCore

/// Where what a pipeline comes to goes.
protocol PipelineSink: AnyObject {
    /// - Parameter isLast: nothing follows. A failure always is.
    func pipeline(
        _ pipeline: RequestPipeline, emits content: consuming UpstreamEvent.Content, isLast: Bool, epilogue: UpstreamEvent.Epilogue?)
    func pipeline(_ pipeline: RequestPipeline, took bytes: Int)
}
