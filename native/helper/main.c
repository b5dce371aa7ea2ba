#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "helper.h"

static const char usage[] = "usage: loop-helper run [--grace MILLISECONDS] -- COMMAND [ARGUMENT...]\n"
                            "       loop-helper sync FOLDER...\n"
                            "       loop-helper restart\n";

static int run(int count, char **arguments) {
    int grace_ms = 5000;
    if (count >= 2 && strcmp(arguments[0], "--grace") == 0) {
        grace_ms = atoi(arguments[1]);
        arguments += 2, count -= 2;
    }
    if (count < 2 || strcmp(arguments[0], "--") != 0)
        return 2;
    return run_supervisor(grace_ms, arguments + 1);
}

int main(int count, char **arguments) {
    const char *mode = count > 1 ? arguments[1] : "";
    int result = -1;
    if (strcmp(mode, "run") == 0 && count > 3)
        result = run(count - 2, arguments + 2);
    if (strcmp(mode, "sync") == 0 && count > 2)
        result = run_receiver(count - 2, arguments + 2);
    if (strcmp(mode, "restart") == 0 && count == 2)
        result = run_restart();
    if (result >= 0)
        return result;
    dprintf(STDERR_FILENO, "%s", usage);
    return 2;
}
