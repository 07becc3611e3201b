// SPDX-License-Identifier: Apache-2.0

// Swift reads CommandLine.arguments from /proc/self/cmdline; if /proc isn't mounted or is masked, the list is empty, and every flag would
// be ignored silently. glibc passes argc and argv to each constructor of an executable before `main`, without reading a file
// (csu/libc-start.c, for all functions in .init_array; `_init` of the System V ABI gets no arguments).
#include "CArguments.h"

#include <stddef.h>

static int count;
static char **arguments;

__attribute__((constructor)) static void keep_arguments(int argc, char **argv) {
    count = argv == NULL || argc < 0 ? 0 : argc;
    arguments = argv;
}

int parley_argument_count(void) { return count; }

const char *parley_argument(int index) { return index < 0 || index >= count ? NULL : arguments[index]; }
