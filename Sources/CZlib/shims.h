// SPDX-License-Identifier: Apache-2.0

// zlib for Swift: the header, and functions in place of the macros that Swift can't import.
#ifndef PARLEY_CZLIB_SHIMS_H
#define PARLEY_CZLIB_SHIMS_H

#include <zlib.h>

static inline int parley_deflateInit2(z_stream *stream, int level, int windowBits, int memLevel) {
    return deflateInit2(stream, level, Z_DEFLATED, windowBits, memLevel, Z_DEFAULT_STRATEGY);
}

static inline int parley_inflateInit2(z_stream *stream, int windowBits) {
    return inflateInit2(stream, windowBits);
}

#endif
