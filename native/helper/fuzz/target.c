/* One stream of frames into a receiver, and what must be so after it.
 *
 * The receiver waits in poll(2), which is ours here (the linker's --wrap): each time, the container's own program does
 * something to the folders, time goes on, and the next piece of the stream comes. So one stream is always the same run.
 *
 * Nothing but the temporary folder can be harmed: as root, it becomes the file system's root before the first stream.
 * There, `root` and `second` are the receiver's folders and `outside` is what it must not reach.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
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

#define MAX_PIECE (64 * 1024) /* what a socket surely takes without a reader */
#define LAST_WAITS 3         /* without a piece, for the events of the last one */
#define WAIT_MS 400
#define SECONDS_PER_STREAM 20

uint64_t answered[256], acted;
static int output = -1, record = -1, messages = -1;
static struct {
    const uint8_t *at, *end;
    size_t piece;
    int sender; /* -1: the stream has ended */
    int waits;
} input = {.sender = -1};
static int64_t now_ms;
static int in_use = -1; /* a file that the program writes to */
static struct stat outside_before, precious_before;

int __real_poll(struct pollfd *sources, nfds_t count, int timeout);
int __wrap_poll(struct pollfd *sources, nfds_t count, int timeout);
int64_t __wrap_monotonic_ms(void);

/* Instead of succession.c: receivers of one process, or of two fuzzers, shall not end one another. */
bool succeed(const char *path) {
    (void)path;
    return true;
}

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
    dprintf(messages, "a stream that breaks something stays in %s/input\n", folder);
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
    /* the first descriptors are taken anew for each stream */
    must(dup2(output, STDIN_FILENO), "take a descriptor");
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
    for (const char **path = (const char *[]){"root", "second", "elsewhere", NULL}; *path; path++) {
        mkdir(*path, 0755);
        chmod(*path, 0755);
        int folder = open(*path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(folder, *path);
        remove_all(folder);
    }
    write_file("root/a", "a");
    must(mkdir("root/dir", 0755), "make a folder");
    write_file("root/dir/b", "b");
    must(mkdir("root/dir/sub", 0755), "make a folder");
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
        const char *known = " . .. outside root second elsewhere input ";
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

static void use_file(int folder) {
    if (in_use >= 0)
        close(in_use);
    in_use = openat(folder, "c", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (in_use >= 0)
        must((int)write(in_use, "b", 1), "write to a file");
}

static int resize(int folder, const char *name) {
    int fd = openat(folder, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    int failed = fd < 0 || ftruncate(fd, SLICE + 100000) != 0;
    if (fd >= 0)
        close(fd);
    return failed;
}

/* Something that the developed program may do; much of it fails, where a stream removed what it needs. */
static int act_on(unsigned number, int top, int folder, int second) {
    switch (number % 16) {
    case 0: return renameat(top, "dir", top, "new");
    case 1: return renameat(top, "new", top, "dir");
    case 2: return renameat(folder, "sub", top, "sub");
    case 3: return renameat(top, "sub", top, "dir");
    case 4: return mkdirat(folder, "sub", 0755);
    case 5: return unlinkat(folder, "sub", AT_REMOVEDIR);
    case 6: return renameat(folder, "sub", second, "sub");
    case 7: return symlinkat("../../outside", folder, "sub");
    case 8: return fchmod(folder, number & 16 ? 0755 : 0);
    case 9: use_file(folder); return 0;
    case 10: use_file(-1); return 0;
    case 11: return linkat(top, "a", folder, "hard", 0);
    case 12: return rename("second", "elsewhere") || mkdir("second", 0755) || rmdir("elsewhere");
    case 13: return unlinkat(top, "a", 0);
    case 14: return resize(folder, "b");
    default: return 0;
    }
}

/* Without following links either: the stream may have made some. */
static int open_folder(int folder, const char *name) {
    return openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

static void act(unsigned number) {
    int top = open_folder(AT_FDCWD, "root"), second = open_folder(AT_FDCWD, "second");
    int folder = open_folder(top, "dir");
    if (act_on(number, top, folder, second) == 0)
        acted++;
    close(top);
    close(second);
    if (folder >= 0)
        close(folder);
}

int64_t __wrap_monotonic_ms(void) { return now_ms; }

int __wrap_poll(struct pollfd *sources, nfds_t count, int timeout) {
    size_t left = (size_t)(input.end - input.at);
    size_t size = left < input.piece ? left : input.piece;
    now_ms += WAIT_MS;
    act(size ? input.at[size / 2] : (unsigned)now_ms / WAIT_MS);
    if (size)
        must((int)send(input.sender, input.at, size, MSG_DONTWAIT), "give the input");
    else if (input.waits-- == 0) {
        close(input.sender);
        input.sender = -1;
    }
    input.at += size;
    (void)timeout;
    return __real_poll(sources, count, 0);
}

static void give_input(const uint8_t *data, size_t size) {
    int ends[2];
    size_t piece = size ? size / (1 + data[size / 2] % 64) + 1 : 1;
    must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), "make a socket");
    must(dup2(ends[0], STDIN_FILENO), "take the input");
    close(ends[0]);
    input.at = data;
    input.end = data + size;
    input.piece = piece < MAX_PIECE ? piece : MAX_PIECE;
    input.sender = ends[1];
    input.waits = LAST_WAITS;
}

static void end_input(void) {
    use_file(-1);
    if (input.sender >= 0)
        close(input.sender);
    input.sender = -1;
}

/* Ends the process when one stream takes longer; 0: not any more. The receiver has the alarm(2) for itself. */
static void watch_over(int seconds) {
    static timer_t timer;
    static bool made;
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGXCPU};
    struct itimerspec time = {.it_value.tv_sec = seconds};
    if (!made)
        must(timer_create(CLOCK_MONOTONIC, &event, &timer), "make a timer");
    made = true;
    must(timer_settime(timer, 0, &time, NULL), "set the timer");
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
    must(dup2(output, STDOUT_FILENO), "take the output");
    int before = count_descriptors();
    give_input(data, size);
    watch_over(SECONDS_PER_STREAM);
    run_receiver(2, paths);
    watch_over(0);
    end_input();
    if (count_descriptors() != before)
        wrong("%d descriptors were left open\n", count_descriptors() - before);
    check_output();
    check_folders();
    return 0;
}
