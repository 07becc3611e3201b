// SPDX-License-Identifier: Apache-2.0

/// A buffer that merges the deltas of streamed texts within a time window, to send fewer messages (`delivery.coalesce`).
///
/// The first delta of a response is sent at once, because users notice how soon a response begins. Deltas that arrive within the window
/// after a sent delta are merged, and sent at the end of the window or with the next event of the same request. The order within a request
/// never changes.
package struct Coalescer: Sendable {
    private struct Pending: Sendable {
        let request: RequestKey
        var text: [UInt8] = []
        var due: Instant
    }

    /// The length of the window in nanoseconds; 0 turns merging off.
    package var window: Int64
    private var pending: [Pending] = []

    package init(window: Int64) { self.window = window }

    package var isEmpty: Bool { pending.isEmpty }
    package var heldBytes: Int { pending.reduce(0) { $0 + $1.text.count } }

    /// When the first of the held deltas is due.
    package var deadline: Instant? { pending.lazy.filter { !$0.text.isEmpty }.map(\.due).min() }

    /// Emits an event, or holds it if it is a delta within the window.
    ///
    /// - Parameter emit: receives the events to send now, in order: none, the event, or the held text and then the event
    package mutating func process(_ event: consuming UpstreamEvent, at now: Instant, _ emit: (consuming UpstreamEvent) -> Void) {
        guard window > 0 || !pending.isEmpty else { return emit(event) }
        let index = pending.firstIndex { $0.request == event.request }
        if !event.isLast, case .text(let text, final: false) = event.content, window > 0 {
            guard let index else {
                pending.append(Pending(request: event.request, due: now.advanced(byNanoseconds: window)))
                return emit(event)
            }
            if pending[index].text.isEmpty, now >= pending[index].due {
                pending[index].due = now.advanced(byNanoseconds: window)
                return emit(event)
            }
            pending[index].text += text
            return
        }
        guard let index else { return emit(event) }
        let held = pending[index].text
        pending.remove(at: index)
        guard !held.isEmpty else { return emit(event) }
        if case .text(let text, let final) = event.content {
            var joined = event
            joined.content = .text(held + text, final: final)
            return emit(joined)
        }
        emit(UpstreamEvent(event.request, .text(held, final: false)))
        emit(event)
    }

    /// Emits the held deltas that are due; with `all`, all of them.
    package mutating func release(at now: Instant, all: Bool = false, _ emit: (consuming UpstreamEvent) -> Void) {
        for index in pending.indices where !pending[index].text.isEmpty && (all || now >= pending[index].due) {
            let text = pending[index].text
            pending[index].text = []
            pending[index].due = now.advanced(byNanoseconds: window)
            emit(UpstreamEvent(pending[index].request, .text(text, final: false)))
        }
    }

    /// Discards the held text of a request that has ended.
    package mutating func forget(_ request: RequestKey) { pending.removeAll { $0.request == request } }
}
