// SPDX-License-Identifier: Apache-2.0

// Processor time and memory of a process, as reported by the kernel.
#pragma once
#include <stdint.h>
#include <sys/types.h>

/// Returns the processor time of all threads of `pid` (0: this process) in seconds; 0 if there is no such process.
double process_cpu(pid_t pid);

/// Returns a value of /proc/PID/status in KB, such as "VmRSS" or "RssAnon"; 0 if there is none.
long process_status(pid_t pid, const char *name);

/// Returns the monotonic time in nanoseconds.
uint64_t now(void);
