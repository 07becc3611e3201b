// What the server costs, as the kernel tells it.
#pragma once
#include <stdint.h>
#include <sys/types.h>

/// Processor time of all threads of `pid` until now, in seconds; of this process if `pid` is 0. 0 if there is no such process.
double process_cpu(pid_t pid);

/// A line of /proc/PID/status in KB, such as "VmRSS" or "RssAnon". 0 if there is none.
long process_status(pid_t pid, const char *name);

/// Monotonic nanoseconds.
uint64_t now(void);
