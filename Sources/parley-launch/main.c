/*
 * Between the gateway and the program of a `process` upstream: what can only be set up from within the new process, before the program takes
 * its place.
 *
 *     parley-launch PARENT MEMORY GROUP PROGRAM [ARGUMENT ...]
 *
 * PARENT is the process that this one must not outlive, MEMORY the most address space in bytes (0: any), GROUP the folder of a control group to
 * join ("-": none). Only what it is started for is its own; the rest, descriptors and environment included, is the business of its parent.
 *
 * In C, and linked statically, since a start has to wait for it: half a millisecond, against twenty for the gateway's own executable.
 *
 * Exit status: the program's, or 1 (the parent is gone), 64 (the arguments are wrong), 71 (the system refuses), 127 (no such program).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { parent_gone = 1, wrong_usage = 64, refused = 71, not_found = 127 };

/* A whole decimal number; false for anything else. */
static int parse(const char *text, unsigned long long *number) {
    char *end;
    errno = 0;
    *number = strtoull(text, &end, 10);
    return text[0] >= '0' && text[0] <= '9' && *end == 0 && errno == 0;
}

/* Where it can't be joined, the process group is all that its parent can kill. */
static void join(const char *group) {
    char path[4096];
    int length = snprintf(path, sizeof path, "%s/cgroup.procs", group);
    if (length < 0 || (size_t)length >= sizeof path) return;
    int file = open(path, O_WRONLY | O_CLOEXEC);
    if (file < 0) return;
    /* 0 is whoever writes it. */
    if (write(file, "0", 1) < 0) {}
    close(file);
}

static int fail(int status, const char *what) {
    fprintf(stderr, "parley: %s can't be started: %s\n", what, strerror(errno));
    return status;
}

int main(int count, char **arguments) {
    unsigned long long parent, memory;
    if (count < 5 || !parse(arguments[1], &parent) || !parse(arguments[2], &memory)) {
        fprintf(stderr, "usage: parley-launch PARENT MEMORY GROUP PROGRAM [ARGUMENT ...]\n");
        return wrong_usage;
    }
    const char *program = arguments[4];
    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return fail(refused, program);
    /* It may have died before the kernel was told. */
    if ((unsigned long long)getppid() != parent) return parent_gone;
    if (strcmp(arguments[3], "-") != 0) join(arguments[3]);
    if (memory > 0) {
        struct rlimit most = {.rlim_cur = memory, .rlim_max = memory};
        if (setrlimit(RLIMIT_AS, &most) != 0) return fail(refused, program);
    }
    /* A core file of somebody's conversation is of use to nobody. */
    struct rlimit none = {.rlim_cur = 0, .rlim_max = 0};
    setrlimit(RLIMIT_CORE, &none);
    execvp(program, arguments + 4);
    return fail(not_found, program);
}
