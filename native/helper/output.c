/* Frames to the sender, on standard output. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "helper.h"

enum reason {
    OTHER = 0,
    PERMISSION = 1,
    READ_ONLY = 2,
    NO_SPACE = 3,
    NOT_EMPTY = 4,
    OUTSIDE = 5,
    LINK_IN_PATH = 6,
    NOT_AS_TOLD = 7,
    NOT_FOUND = 8,
    NO_WATCHES = 9,
};

#define ALIVE_SECONDS 2

static volatile sig_atomic_t sending;

/* As a signal: hashing a large file takes long, and no loop has to think of it. */
static void on_alarm(int number) {
    static const uint8_t frame[FRAME_HEADER] = {[FRAME_HEADER - 1] = ALIVE};
    int error = errno;
    (void)number;
    /* small enough for a pipe to take all of it or nothing */
    if (!sending && write(STDOUT_FILENO, frame, sizeof frame) < 0)
        errno = error;
    errno = error;
}

void send_alive(bool going) {
    static bool was;
    if (going == was)
        return;
    was = going;
    static bool handled;
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    struct itimerval timer = {.it_interval.tv_sec = ALIVE_SECONDS, .it_value.tv_sec = ALIVE_SECONDS};
    if (!going)
        timer = (struct itimerval){0};
    if (!handled)
        sigaction(SIGALRM, &action, NULL);
    handled = true;
    setitimer(ITIMER_REAL, &timer, NULL);
}

static bool send_all(const uint8_t *data, size_t size) {
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, data, size);
        if (written > 0)
            data += written, size -= (size_t)written;
        if (written >= 0 || errno == EINTR)
            continue;
        struct pollfd output = {STDOUT_FILENO, POLLOUT, 0};
        if (errno != EAGAIN || poll(&output, 1, IDLE_TIMEOUT_MS) == 0)
            return false;
    }
    return true;
}

/* The descriptor does not block, so that a sender which is no more does not keep us for ever. */
bool send_bytes(const uint8_t *data, size_t size) {
    sending = 1;
    bool sent = send_all(data, size);
    sending = 0;
    return sent;
}

bool send_frame(struct builder *frame) {
    frame_end(frame);
    return send_bytes(frame->data, frame->size);
}

bool fatal(const char *message) {
    uint8_t buffer[512];
    struct builder frame;
    frame_begin(&frame, buffer, sizeof buffer, FATAL);
    put_string(&frame, message, strlen(message));
    send_frame(&frame);
    return false;
}

uint8_t reason_of(int error) {
    switch (error) {
    case EACCES:
    case EPERM: return PERMISSION;
    case EROFS: return READ_ONLY;
    case ENOSPC:
    case EDQUOT: return NO_SPACE;
    case ENOTEMPTY:
    case EEXIST: return NOT_EMPTY;
    case ENOENT: return NOT_FOUND;
    case E_OUTSIDE: return OUTSIDE;
    case E_LINK: return LINK_IN_PATH;
    case E_CHANGED: return NOT_AS_TOLD;
    case E_NO_WATCHES:
    case E_NO_INSTANCES: return NO_WATCHES;
    default: return OTHER;
    }
}

const char *words_of(int error) {
    switch (error) {
    case E_OUTSIDE:
    case E_LINK:
    case E_CHANGED: return "";
    /* the system's words for these are about disks and files */
    case E_NO_WATCHES: return "fs.inotify.max_user_watches";
    case E_NO_INSTANCES: return "fs.inotify.max_user_instances";
    default: return strerror(error);
    }
}
