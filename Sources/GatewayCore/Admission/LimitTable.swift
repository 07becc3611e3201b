// SPDX-License-Identifier: Apache-2.0

/// One value for each ``Limit``, held inline.
struct LimitTable<Value: ~Copyable>: ~Copyable {
    private var values: InlineArray<8, Value>

    init(_ make: () -> Value) { values = InlineArray { _ in make() } }

    subscript(limit: Limit) -> Value {
        _read { yield values[limit.rawValue] }
        _modify { yield &values[limit.rawValue] }
    }
}

extension LimitTable: Copyable where Value: Copyable {}
extension LimitTable: Sendable where Value: Sendable & ~Copyable {}
