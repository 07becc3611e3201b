// SPDX-License-Identifier: Apache-2.0

// The arguments of the process, as passed by the kernel, and the commit that the executable was built from.
#ifndef PARLEY_CARGUMENTS_H
#define PARLEY_CARGUMENTS_H

// Returns the number of arguments, including the program's name; 0 if unknown.
int parley_argument_count(void);

// Returns the argument at `index`, valid for the lifetime of the process; NULL if out of range.
const char *parley_argument(int index);

// Returns the abbreviated hash of the commit, with "-dirty" if the sources had uncommitted changes; "unknown" without one. Never NULL.
const char *parley_commit(void);

#endif
