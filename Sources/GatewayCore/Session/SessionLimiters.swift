/// What a session owes to each of its limits. Their rates are the policy's.
struct SessionLimiters: Sendable {
    var text = Limiter()
    var audio = Limiter()
    var chunk = Limiter()
    var realtime = Limiter()
    var control = Limiter()
    var byte = Limiter()
    var refusal = Limiter()
    var violation = Limiter()

    /// Every one of them, in an order that stored sessions rely on.
    mutating func updateEach<Thrown: Error>(_ update: (inout Limiter) throws(Thrown) -> Void) throws(Thrown) {
        try update(&text)
        try update(&audio)
        try update(&chunk)
        try update(&realtime)
        try update(&control)
        try update(&byte)
        try update(&refusal)
        try update(&violation)
    }
}
