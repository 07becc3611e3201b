// SPDX-License-Identifier: Apache-2.0

// A histogram of latencies: quantiles of any number of samples in 32 KB, with an error of at most 1.6 %.
#pragma once
#include <stdint.h>

struct histogram {
    uint64_t counts[64 * 64];
    uint64_t samples;
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);

/// Returns the `quantile` (0 to 1) of the latencies in microseconds; 0 without samples.
double histogram_quantile(const struct histogram *histogram, double quantile);
