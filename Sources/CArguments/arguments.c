// Swift's own list (CommandLine.arguments) is read from /proc/self/cmdline, and is empty where /proc isn't mounted or is masked: every flag would
// be ignored without a word. glibc passes argc and argv to each constructor of an executable (`_init` in the System V ABI gets nothing; glibc's
// csu/libc-start.c does it for all that .init_array lists), before `main` and without a look at any file.
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
