// What the Glibc module leaves out: glibc's own part of malloc, and system calls that need more than their number.
#ifndef PARLEY_CLINUX_SHIMS_H
#define PARLEY_CLINUX_SHIMS_H

#include <sys/stat.h>
#include <malloc.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

// The first version of what sched_setattr(2) takes, which every kernel knows.
struct parley_scheduling {
    uint32_t size;
    uint32_t policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    // Nanoseconds. For the ordinary policy: how long it may run before others get a turn, from Linux 6.12 on.
    uint64_t runtime;
    uint64_t deadline;
    uint64_t period;
};

#define PARLEY_SCHEDULING_RESET_ON_FORK 1

// Of a thread, 0 for the calling one; 0 or -1, as the system call.
static inline long parley_get_scheduling(pid_t thread, struct parley_scheduling *scheduling) {
    return syscall(SYS_sched_getattr, thread, scheduling, sizeof *scheduling, 0);
}

// Of the calling thread.
static inline long parley_set_scheduling(struct parley_scheduling *scheduling) {
    scheduling->size = sizeof *scheduling;
    return syscall(SYS_sched_setattr, 0, scheduling, 0);
}

// The soft limit on file descriptors; the largest number where there is none or it can't be read.
static inline int64_t parley_descriptor_limit(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > INT64_MAX) return INT64_MAX;
    return (int64_t)limit.rlim_cur;
}

/// The type and permissions of a file, as in `st_mode`; -1 with `errno` set when there are none. `struct stat` belongs to another module in each
/// way of linking, and Swift takes its fields from the one that is imported only.
static inline int parley_file_mode(const char *path) {
    struct stat status;
    return stat(path, &status) == 0 ? (int)status.st_mode : -1;
}

#endif
