// The arguments of the process, as the kernel has handed them to its first instruction.
#ifndef PARLEY_CARGUMENTS_H
#define PARLEY_CARGUMENTS_H

// Number of arguments, the program's name included; 0 when they aren't known.
int parley_argument_count(void);

// The argument of that index, valid as long as the process lives; NULL beyond the last one.
const char *parley_argument(int index);

#endif
