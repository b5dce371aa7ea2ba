/* `loop-helper sync ROOT…`: takes frames from stdin, changes files, answers on stdout; ends with its input. */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "helper.h"

#define MAX_ROOTS 64
#define MAX_CHECKS 4096 /* paths in one CHECK frame */
/* The sender says something at least every 15 s. When its connection broke, container runtimes do not always close our
 * input; without an end of our own, receivers would pile up. */
#define IDLE_TIMEOUT_MS 60000

enum failure {
    OTHER = 0,
    PERMISSION = 1,
    READ_ONLY = 2,
    NO_SPACE = 3,
    NOT_EMPTY = 4,
    OUTSIDE = 5,
    LINK_IN_PATH = 6,
    CHANGED = 7,
    NOT_FOUND = 8,
};

static struct root roots[MAX_ROOTS];
static int root_count;
static int control = -1;
static struct incoming file = {.parent = -1};
static struct operation file_operation;
static char file_path[PATH_MAX];
static int file_error; /* of the file under way; its remaining data is skipped */
static bool greeted;

static bool send_bytes(const uint8_t *data, size_t size) {
    while (size > 0) {
        ssize_t written = write(STDOUT_FILENO, data, size);
        if (written < 0 && errno != EINTR)
            return false;
        if (written > 0)
            data += written, size -= (size_t)written;
    }
    return true;
}

static bool send_frame(struct builder *frame) {
    frame_end(frame);
    return send_bytes(frame->data, frame->size);
}

static bool fatal(const char *message) {
    uint8_t buffer[512];
    struct builder frame;
    frame_begin(&frame, buffer, sizeof buffer, FATAL);
    put_string(&frame, message, strlen(message));
    send_frame(&frame);
    return false;
}

static enum failure failure_of(int error) {
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
    case E_CHANGED: return CHANGED;
    default: return OTHER;
    }
}

static bool report(const struct operation *operation, const char *path, int error) {
    static uint8_t buffer[2 * PATH_MAX + 1024];
    char folder[PATH_MAX + 64];
    struct builder frame;
    if (!error)
        return true;
    const char *text = error < E_OUTSIDE ? strerror(error) : "";
    tree_describe_folder(&roots[operation->root], path, folder, sizeof folder);
    frame_begin(&frame, buffer, sizeof buffer, FAILED);
    put_u8(&frame, operation->root);
    put_u8(&frame, failure_of(error));
    put_string(&frame, operation->path, operation->path_size);
    put_string(&frame, text, strlen(text));
    put_string(&frame, folder, strlen(folder));
    return send_frame(&frame);
}

/* A path or link target as a C string; false when it cannot be one. */
static bool copy_text(char text[PATH_MAX], const uint8_t *bytes, size_t size) {
    if (size >= PATH_MAX || memchr(bytes, 0, size))
        return false;
    memcpy(text, bytes, size);
    text[size] = 0;
    return true;
}

static bool greet(struct cursor *payload) {
    uint8_t buffer[64];
    struct builder frame;
    bool ours = memcmp(take_bytes(payload, MAGIC_SIZE), MAGIC, MAGIC_SIZE) == 0;
    uint16_t version = take_u16(payload);
    if (payload->broken || !ours)
        return fatal("not the sync protocol");
    frame_begin(&frame, buffer, sizeof buffer, WELCOME);
    put_u16(&frame, PROTOCOL_VERSION);
    put_u8(&frame, control >= 0);
    put_u32(&frame, geteuid());
    put_u32(&frame, getegid());
    greeted = true;
    return send_frame(&frame) && (version == PROTOCOL_VERSION || fatal("another version of the sync protocol"));
}

static bool check(struct cursor *payload) {
    static uint8_t buffer[FRAME_HEADER + 4 + MAX_CHECKS];
    char path[PATH_MAX];
    struct builder frame;
    frame_begin(&frame, buffer, sizeof buffer, CHECKED);
    put_u32(&frame, take_u32(payload));
    while (payload->at < payload->end && !payload->broken && frame.size < sizeof buffer) {
        struct operation operation = take_operation(payload);
        char kind = (char)take_u8(payload);
        uint64_t size = take_u64(payload);
        const uint8_t *digest = take_bytes(payload, DIGEST_SIZE);
        if (payload->broken || operation.root >= root_count)
            return fatal("broken frame: check");
        bool exact = operation.flags & FLAG_EXACT_MODE;
        put_u8(&frame, copy_text(path, operation.path, operation.path_size)
                           ? (uint8_t)tree_check(&roots[operation.root], path, kind, size, operation.mode & 0777, exact,
                                                 digest)
                           : MISSING);
    }
    return send_frame(&frame);
}

static int change(uint8_t type, struct cursor *payload, const struct operation *operation, const char *path) {
    struct root *root = &roots[operation->root];
    mode_t mode = operation->mode & 0777;
    bool exact = operation->flags & FLAG_EXACT_MODE;
    char other[PATH_MAX];
    uint16_t size = 0;
    const uint8_t *text = type == LINK || type == RENAME ? take_string(payload, &size) : NULL;
    if (text && !copy_text(other, text, size))
        return E_OUTSIDE;
    switch (type) {
    case FOLDER: return tree_folder(root, path, mode, exact);
    case LINK: return tree_link(root, path, other);
    case DELETE: return tree_delete(root, path);
    case RENAME: return tree_rename(root, path, other, mode, exact, take_bytes(payload, DIGEST_SIZE));
    default: return tree_mode(root, path, mode, exact);
    }
}

static bool operate(uint8_t type, struct cursor *payload) {
    char path[PATH_MAX];
    struct operation operation = take_operation(payload);
    if (payload->broken || operation.root >= root_count)
        return fatal("broken frame: operation");
    bool valid = copy_text(path, operation.path, operation.path_size);
    int error = valid ? change(type, payload, &operation, path) : E_OUTSIDE;
    if (payload->broken)
        return fatal("broken frame: operation");
    return report(&operation, valid ? path : "", error);
}

static bool begin_file(struct cursor *payload) {
    file_operation = take_operation(payload);
    if (payload->broken || file_operation.root >= root_count)
        return fatal("broken frame: file");
    incoming_abort(&file);
    file_path[0] = 0;
    bool valid = copy_text(file_path, file_operation.path, file_operation.path_size);
    file_error = valid ? incoming_begin(&file, &roots[file_operation.root], file_path, file_operation.mode & 0777,
                                        file_operation.flags & FLAG_EXACT_MODE)
                       : E_OUTSIDE;
    return true;
}

static bool add_to_file(struct cursor *payload) {
    size_t size = (size_t)(payload->end - payload->at);
    if (file.parent < 0)
        return true;
    file_error = incoming_data(&file, payload->at, size);
    if (file_error)
        incoming_abort(&file);
    return true;
}

static bool end_file(struct cursor *payload) {
    const uint8_t *digest = take_bytes(payload, DIGEST_SIZE);
    if (payload->broken)
        return fatal("broken frame: end of file");
    int error = file.parent >= 0 ? incoming_end(&file, digest) : file_error;
    /* the frame that named the path is gone from the buffer, its copy is not */
    file_operation.path = (const uint8_t *)file_path;
    file_operation.path_size = (uint16_t)strlen(file_path);
    return report(&file_operation, file_path, error);
}

static bool commit(struct cursor *payload) {
    uint8_t buffer[16];
    struct builder frame;
    tree_forget();
    frame_begin(&frame, buffer, sizeof buffer, COMMITTED);
    put_u32(&frame, take_u32(payload));
    return send_frame(&frame);
}

static bool ask_for_restart(struct cursor *payload) {
    uint8_t buffer[16];
    struct builder frame;
    uint32_t id = take_u32(payload);
    frame_begin(&frame, buffer, sizeof buffer, RESTART);
    put_u32(&frame, id);
    frame_end(&frame);
    if (control >= 0 && send(control, buffer, frame.size, MSG_NOSIGNAL) == (ssize_t)frame.size)
        return true;
    frame_begin(&frame, buffer, sizeof buffer, RESTARTED);
    put_u32(&frame, id);
    put_u8(&frame, NO_SUPERVISOR);
    put_string(&frame, "", 0);
    return send_frame(&frame);
}

static bool handle(struct frame *frame) {
    if (!greeted && frame->type != HELLO)
        return fatal("not the sync protocol");
    switch (frame->type) {
    case HELLO: return greet(&frame->payload);
    case CHECK: return check(&frame->payload);
    case FILE_BEGIN: return begin_file(&frame->payload);
    case FILE_DATA: return add_to_file(&frame->payload);
    case FILE_END: return end_file(&frame->payload);
    case FILE_ABORT: incoming_abort(&file); return true;
    case FOLDER:
    case LINK:
    case DELETE:
    case RENAME:
    case MODE: return operate(frame->type, &frame->payload);
    case COMMIT: return commit(&frame->payload);
    case RESTART: return ask_for_restart(&frame->payload);
    default: return fatal("unknown frame");
    }
}

/* What the supervisor says is a frame already. */
static bool pass_on(void) {
    uint8_t buffer[1024];
    ssize_t size = recv(control, buffer, sizeof buffer, 0);
    if (size > 0)
        return !greeted || send_bytes(buffer, (size_t)size);
    close(control);
    control = -1;
    return true;
}

static bool take_input(void) {
    static uint8_t input[FRAME_HEADER + MAX_PAYLOAD];
    static size_t held;
    ssize_t size = read(STDIN_FILENO, input + held, sizeof input - held);
    if (size < 0)
        return errno == EINTR || errno == EAGAIN;
    if (size == 0)
        return false;
    held += (size_t)size;
    size_t done = 0;
    for (;;) {
        struct frame frame;
        long taken = frame_next(input + done, held - done, &frame);
        if (taken < 0)
            return fatal("frame too large");
        if (taken == 0)
            break;
        if (!handle(&frame))
            return false;
        done += (size_t)taken;
    }
    memmove(input, input + done, held - done);
    held -= done;
    return true;
}

int run_receiver(int count, char **paths) {
    if (count > MAX_ROOTS)
        return 2;
    for (root_count = 0; root_count < count; root_count++)
        roots[root_count] = (struct root){paths[root_count], -1};
    signal(SIGPIPE, SIG_IGN);
    control = control_connect();
    bool going = true;
    while (going) {
        struct pollfd sources[2] = {{STDIN_FILENO, POLLIN, 0}, {greeted ? control : -1, POLLIN, 0}};
        int ready = poll(sources, 2, IDLE_TIMEOUT_MS);
        if (ready == 0 || (ready < 0 && errno != EINTR))
            break;
        if (ready > 0 && sources[1].revents)
            going = pass_on();
        if (ready > 0 && sources[0].revents && going)
            going = take_input();
    }
    incoming_abort(&file);
    return 0;
}
