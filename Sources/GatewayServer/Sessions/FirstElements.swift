// SPDX-License-Identifier: Apache-2.0

/// The first elements of a sequence in sorted order, with memory for twice as many.
struct FirstElements<Element: Comparable> {
    let limit: Int
    private var elements: [Element] = []

    init(limit: Int) { self.limit = max(0, limit) }

    mutating func insert(_ element: Element) {
        elements.append(element)
        if elements.count >= max(64, 2 * limit) { cut() }
    }

    /// Returns the elements in sorted order.
    mutating func sorted() -> [Element] {
        cut()
        return elements
    }

    private mutating func cut() {
        elements.sort()
        elements.removeLast(max(0, elements.count - limit))
    }
}

extension FirstElements: Sendable where Element: Sendable {}
