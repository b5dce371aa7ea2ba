/* One stream of frames into a receiver, and what must be so after it.
 *
 * Nothing but the temporary folder can be harmed: as root, it becomes the file system's root before the first stream.
 * There, `root` and `second` are the receiver's folders and `outside` is what it must not reach.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../helper.h"
#include "fuzz.h"

/* What a socket surely takes without a reader. */
#define MAX_SEGMENTED (64 * 1024)
#define SECONDS_PER_STREAM 20

uint64_t answered[256];

/* Instead of succession.c: receivers of one process, or of two fuzzers, shall not end one another. */
bool succeed(const char *path) {
    (void)path;
    return true;
}

static int output = -1, record = -1, messages = -1;
static struct stat outside_before, precious_before;

_Noreturn static void wrong(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vdprintf(messages, format, arguments);
    va_end(arguments);
    abort();
}

static void must(int result, const char *what) {
    if (result < 0)
        wrong("cannot %s: %m\n", what);
}

static void write_file(const char *path, const char *content) {
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    must(fd, path);
    must((int)write(fd, content, strlen(content)), path);
    close(fd);
}

static void prepare(void) {
    char folder[512];
    const char *parent = getenv("TMPDIR");
    messages = dup(STDERR_FILENO);
    snprintf(folder, sizeof folder, "%s/loop-fuzz-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(folder))
        wrong("cannot make %s: %m\n", folder);
    must(chdir(folder), "enter the folder");
    if (geteuid() == 0)
        must(chroot("."), "make the folder the root");
    must(mkdir("outside", 0755), "make outside");
    write_file("outside/precious", "precious");
    must(mkdir("root", 0755), "make root");
    must(mkdir("second", 0755), "make second");
    must(stat("outside", &outside_before), "look at outside");
    must(stat("outside/precious", &precious_before), "look at precious");
    output = memfd_create("output", MFD_CLOEXEC);
    must(output, "keep the output");
    record = open("input", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    must(record, "record the input");
}

static void remove_all(int folder) {
    DIR *entries = fdopendir(folder);
    const struct dirent *entry;
    while ((entry = readdir(entries))) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(folder, entry->d_name, 0) == 0)
            continue;
        fchmodat(folder, entry->d_name, 0700, 0);
        int below = openat(folder, entry->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        must(below, "open what was made");
        remove_all(below);
        must(unlinkat(folder, entry->d_name, AT_REMOVEDIR), "remove what was made");
    }
    closedir(entries);
}

/* The same for every stream. */
static void fill_roots(void) {
    for (const char **path = (const char *[]){"root", "second", NULL}; *path; path++) {
        mkdir(*path, 0755);
        chmod(*path, 0755);
        int folder = open(*path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(folder, *path);
        remove_all(folder);
    }
    write_file("root/a", "a");
    must(mkdir("root/dir", 0755), "make a folder");
    write_file("root/dir/b", "b");
    must(symlink("../outside", "root/link"), "make a link");
    must(symlink("loop", "root/loop"), "make a loop");
    must(mkfifo("root/pipe", 0644), "make a pipe");
}

static bool is_untouched(const char *path, const struct stat *before) {
    struct stat now;
    return stat(path, &now) == 0 && now.st_ino == before->st_ino && now.st_mode == before->st_mode
        && nanoseconds(now.st_mtim) == nanoseconds(before->st_mtim)
        && nanoseconds(now.st_ctim) == nanoseconds(before->st_ctim);
}

/* Whatever was asked, only the roots may have changed, and no file on its way may be left in them. */
static void check_folders(void) {
    if (!is_untouched("outside", &outside_before) || !is_untouched("outside/precious", &precious_before))
        wrong("something outside of the roots changed\n");
    DIR *entries = opendir(".");
    const struct dirent *entry;
    while ((entry = readdir(entries))) {
        const char *known = " . .. outside root second input ";
        char name[NAME_MAX + 3];
        snprintf(name, sizeof name, " %s ", entry->d_name);
        if (!strstr(known, name))
            wrong("%s was made outside of the roots\n", entry->d_name);
    }
    closedir(entries);
}

static void check_output(void) {
    size_t size = (size_t)lseek(output, 0, SEEK_END);
    if (size == 0)
        return;
    uint8_t *data = mmap(NULL, size, PROT_READ, MAP_SHARED, output, 0);
    if (data == MAP_FAILED)
        wrong("cannot read the output: %m\n");
    for (size_t at = 0; at < size;) {
        struct frame frame;
        long taken = frame_next(data + at, size - at, &frame);
        if (taken <= 0 || frame.type < WELCOME)
            wrong("the answer at byte %zu of %zu is no frame\n", at, size);
        answered[frame.type]++;
        at += (size_t)taken;
    }
    munmap(data, size);
}

static int count_descriptors(void) {
    int count = 0;
    for (int fd = 0; fd < 64; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* In up to 16 pieces, as a stream comes; one that a socket may not take comes as a file. */
static void give_input(const uint8_t *data, size_t size) {
    int ends[2] = {-1, -1};
    if (size > MAX_SEGMENTED) {
        ends[0] = memfd_create("input", 0);
        must((int)write(ends[0], data, size), "give the input");
        lseek(ends[0], 0, SEEK_SET);
    } else {
        must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), "make a socket");
        size_t segment = size ? size / (1 + data[size / 2] % 16) + 1 : 1;
        for (size_t at = 0; at < size; at += segment)
            must((int)write(ends[1], data + at, size - at < segment ? size - at : segment), "give the input");
        close(ends[1]);
    }
    must(dup2(ends[0], STDIN_FILENO), "take the input");
    close(ends[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char *paths[] = {"root", "second"};
    if (output < 0)
        prepare();
    must((int)pwrite(record, data, size, 0), "record the input");
    must(ftruncate(record, (off_t)size), "record the input");
    must(ftruncate(output, 0), "empty the output");
    lseek(output, 0, SEEK_SET);
    fill_roots();
    give_input(data, size);
    must(dup2(output, STDOUT_FILENO), "take the output");
    int before = count_descriptors();
    alarm(SECONDS_PER_STREAM);
    run_receiver(2, paths);
    alarm(0);
    if (count_descriptors() != before)
        wrong("%d descriptors were left open\n", count_descriptors() - before);
    check_output();
    check_folders();
    return 0;
}
