// SPDX-License-Identifier: Apache-2.0

#include "histogram.h"

enum { HALF = 32, UNIT = 100 };  // buckets per power of two; width of the finest bucket in nanoseconds

// Values below 64 have a bucket each. For larger values, the position of the highest bit selects a row, and the next five bits the bucket
// in the row.
static unsigned bucket_of(uint64_t value) {
    if (value < 2 * HALF) return (unsigned)value;
    unsigned row = 63 - 5 - (unsigned)__builtin_clzll(value);
    return HALF * row + (unsigned)(value >> row);
}

static double middle_of(unsigned bucket) {
    if (bucket < 2 * HALF) return bucket + 0.5;
    unsigned row = bucket / HALF - 1;
    return ((double)(bucket - HALF * row) + 0.5) * (double)(1ull << row);
}

void histogram_add(struct histogram *histogram, uint64_t nanoseconds) {
    histogram->counts[bucket_of(nanoseconds / UNIT)]++;
    histogram->samples++;
}

double histogram_quantile(const struct histogram *histogram, double quantile) {
    if (histogram->samples == 0) return 0;
    double rank = quantile * (double)histogram->samples;
    uint64_t seen = 0;
    for (unsigned bucket = 0; bucket < 64 * 64; bucket++) {
        seen += histogram->counts[bucket];
        if (histogram->counts[bucket] && (double)seen >= rank) return middle_of(bucket) * UNIT / 1000;
    }
    return 0;
}
