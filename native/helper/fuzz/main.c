/* fuzz SECONDS SEED: streams that the seed decides, one after the other.
 * fuzz INPUT: one stream from a file, as a former run left it.
 *
 * LLVM's libFuzzer can take the place of this file; it does not come with every compiler. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../helper.h"
#include "fuzz.h"

static uint8_t stream[MAX_STREAM];

/* In the folder that becomes the root, the sanitizer cannot look for leaks; the tests of the program do. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) { return "detect_leaks=0"; }

/* The receiver's own clock stands still between streams. */
static time_t seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

static int replay(const char *path) {
    int input = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = input >= 0 ? read(input, stream, sizeof stream) : -1;
    if (size < 0) {
        perror(path);
        return 2;
    }
    close(input);
    return LLVMFuzzerTestOneInput(stream, (size_t)size);
}

int main(int count, char **arguments) {
    if (count == 2)
        return replay(arguments[1]);
    if (count != 3)
        return 2;
    int told = dup(STDOUT_FILENO);
    time_t end = seconds() + atoll(arguments[1]);
    uint64_t seed = strtoull(arguments[2], NULL, 10) * 2 + 1;
    uint64_t runs = 0;
    for (; seconds() < end; runs++)
        LLVMFuzzerTestOneInput(stream, make_stream(&seed, stream));
    dprintf(told, "streams %llu\nactions %llu\n", (unsigned long long)runs, (unsigned long long)acted);
    for (int type = 0; type < 256; type++)
        if (answered[type])
            dprintf(told, "%02x %llu\n", type, (unsigned long long)answered[type]);
    return 0;
}
