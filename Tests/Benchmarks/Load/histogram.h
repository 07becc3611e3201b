// Latencies, counted in buckets that are 1.6 % wide: the quantiles of any number of samples in 32 KB.
#pragma once
#include <stdint.h>

struct histogram {
    uint64_t counts[64 * 64];
    uint64_t samples;
};

void histogram_add(struct histogram *histogram, uint64_t nanoseconds);

/// The latency in microseconds that the share `quantile` of all samples (0 to 1) doesn't exceed; 0 without samples.
double histogram_quantile(const struct histogram *histogram, double quantile);
