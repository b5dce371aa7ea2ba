/* Frames to the sender, on standard output. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <string.h>
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

/* The descriptor does not block, so that a sender which is no more does not keep us for ever. */
bool send_bytes(const uint8_t *data, size_t size) {
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
