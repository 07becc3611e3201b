/// Gathers the deltas of streamed texts for a while, so that each of them needn't be a message of its own (`delivery.coalesce`).
///
/// The first delta of an answer passes at once: how soon an answer begins is what people notice. What comes within the window after a delta that
/// went out is one delta at its end, or goes along with the next event of the same request. Nothing is ever reordered within a request.
package struct Coalescer: Sendable {
    private struct Gathered: Sendable {
        let request: RequestKey
        var text: [UInt8] = []
        var due: Instant
    }

    /// Nanoseconds; 0 passes everything on.
    package var window: Int64
    private var gathered: [Gathered] = []

    package init(window: Int64) { self.window = window }

    package var isEmpty: Bool { gathered.isEmpty }
    package var heldBytes: Int { gathered.reduce(0) { $0 + $1.text.count } }

    /// When something held back falls due.
    package var deadline: Instant? { gathered.lazy.filter { !$0.text.isEmpty }.map(\.due).min() }

    /// Takes an event.
    ///
    /// - Parameter pass: is handed what is to go on now, in order: nothing, the event, or what was gathered and then the event
    package mutating func take(_ event: consuming UpstreamEvent, at now: Instant, _ pass: (consuming UpstreamEvent) -> Void) {
        guard window > 0 || !gathered.isEmpty else { return pass(event) }
        let index = gathered.firstIndex { $0.request == event.request }
        if !event.isLast, case .text(let text, final: false) = event.content, window > 0 {
            guard let index else {
                gathered.append(Gathered(request: event.request, due: now.advanced(byNanoseconds: window)))
                return pass(event)
            }
            if gathered[index].text.isEmpty, now >= gathered[index].due {
                gathered[index].due = now.advanced(byNanoseconds: window)
                return pass(event)
            }
            gathered[index].text += text
            return
        }
        guard let index else { return pass(event) }
        let held = gathered[index].text
        gathered.remove(at: index)
        guard !held.isEmpty else { return pass(event) }
        if case .text(let text, let final) = event.content {
            var joined = event
            joined.content = .text(held + text, final: final)
            return pass(joined)
        }
        pass(UpstreamEvent(event.request, .text(held, final: false)))
        pass(event)
    }

    /// What has fallen due by now; with `all`, everything.
    package mutating func release(at now: Instant, all: Bool = false, _ pass: (consuming UpstreamEvent) -> Void) {
        for index in gathered.indices where !gathered[index].text.isEmpty && (all || now >= gathered[index].due) {
            let text = gathered[index].text
            gathered[index].text = []
            gathered[index].due = now.advanced(byNanoseconds: window)
            pass(UpstreamEvent(gathered[index].request, .text(text, final: false)))
        }
    }

    /// Forgets a request that nobody waits for any more.
    package mutating func forget(_ request: RequestKey) { gathered.removeAll { $0.request == request } }
}
