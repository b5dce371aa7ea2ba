/* Folders that are watched, by one inotify(7) instance that exists from the first of them on.
 * folders.c knows which they are; when one is moved or removed, it is forgotten with all below it, and the sender is told.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folders.h"

/* No IN_MODIFY: a file counts when its writer closes it. IN_ATTRIB is a change of mode, owner or times. */
#define IN_FOLDER (IN_CREATE | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define MASK (IN_FOLDER | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)
/* A new file that is not closed so soon is told all the same: some are never closed. */
#define CLOSING_MS 1000
#define MAX_OPENED 64
#define MAX_CHANGED (FRAME_HEADER + 2 + 2 + PATH_MAX + 2 + NAME_MAX)

static int inotify = -1;

/* New files whose writers still have them open, as far as we know; the oldest first. */
static struct {
    int watch;
    int64_t until;
    char name[NAME_MAX + 1];
} opened[MAX_OPENED];
static size_t opened_count;

static uint8_t outgoing[64 * 1024];
static size_t outgoing_size;
static uint8_t last[MAX_CHANGED]; /* frame of this wake-up */
static size_t last_size;
static bool output_closed;

/* ---- telling ---- */

static void flush(void) {
    if (outgoing_size > 0 && !send_bytes(outgoing, outgoing_size))
        output_closed = true;
    outgoing_size = 0;
}

static void tell(const struct folder *folder, enum change change, const char *name) {
    char buffer[PATH_MAX];
    uint8_t data[MAX_CHANGED];
    struct builder frame;
    const char *path = folder ? folder_path(folder, buffer) : "";
    frame_begin(&frame, data, sizeof data, CHANGED);
    put_u8(&frame, folder ? folder->root : 0);
    put_u8(&frame, (uint8_t)change);
    put_string(&frame, path, strlen(path));
    put_string(&frame, name, strlen(name));
    frame_end(&frame);
    if (frame.size == last_size && memcmp(data, last, last_size) == 0)
        return;
    memcpy(last, data, frame.size);
    last_size = frame.size;
    if (sizeof outgoing - outgoing_size < frame.size)
        flush();
    memcpy(outgoing + outgoing_size, data, frame.size);
    outgoing_size += frame.size;
}

/* The name in the folder above is told after it: there may be another folder already. */
static void tell_gone(const struct folder *folder) {
    tell(folder, CHANGE_GONE, "");
    if (folder->parent && folder->parent->watch >= 0)
        tell(folder->parent, CHANGE_NAME, folder->name);
}

/* ---- new files that their writers have not closed ---- */

static void forget_opened(size_t place) {
    memmove(opened + place, opened + place + 1, (opened_count - place - 1) * sizeof *opened);
    opened_count--;
}

static bool is_opened(int watch, const char *name, size_t *place) {
    for (*place = 0; *place < opened_count; (*place)++)
        if (opened[*place].watch == watch && strcmp(opened[*place].name, name) == 0)
            return true;
    return false;
}

/* Nothing but a regular file of one name was opened by who made it. */
static bool is_new_file(const struct folder *folder, const char *name) {
    struct stat found;
    int fd = folder_open(folder);
    if (fd < 0)
        return false;
    bool file = fstatat(fd, name, &found, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(found.st_mode) && found.st_nlink == 1;
    close(fd);
    return file;
}

/* Whether a change of a name is told later, when the file is closed. */
static bool waits_for_close(int watch, uint32_t mask, const char *name) {
    size_t place;
    bool waits = is_opened(watch, name, &place);
    if (waits && !(mask & (IN_ATTRIB | IN_CREATE)))
        forget_opened(place);
    if (waits)
        return mask & (IN_ATTRIB | IN_CREATE);
    bool created = (mask & IN_CREATE) && !(mask & IN_ISDIR) && opened_count < MAX_OPENED;
    if (!created || !folders_of(watch, 0) || !is_new_file(folders_of(watch, 0), name))
        return false;
    opened[opened_count].watch = watch;
    opened[opened_count].until = monotonic_ms() + CLOSING_MS;
    strcpy(opened[opened_count].name, name);
    opened_count++;
    return true;
}

static void tell_opened(void) {
    while (opened_count > 0 && opened[0].until <= monotonic_ms()) {
        struct folder *folder;
        for (size_t i = 0; (folder = folders_of(opened[0].watch, i)); i++)
            tell(folder, CHANGE_NAME, opened[0].name);
        forget_opened(0);
    }
}

/* ---- events ---- */

static void take_name(int watch, uint32_t mask, const char *name) {
    struct folder *folder;
    if (waits_for_close(watch, mask, name))
        return;
    for (size_t i = 0; (folder = folders_of(watch, i)); i++) {
        bool went = (mask & IN_ISDIR) && (mask & (IN_DELETE | IN_MOVED_FROM));
        struct folder *child = went ? folder_child(folder, name, strlen(name)) : NULL;
        if (child && !folder_is_in_place(child)) {
            tell_gone(child);
            folders_forget(inotify, child);
        } else {
            tell(folder, CHANGE_NAME, name);
        }
    }
}

/* The folder itself was moved, or is no more. */
static void take_itself(int watch, bool ended) {
    struct folder *folder;
    for (size_t i = 0; (folder = folders_of(watch, i));) {
        if (!ended && folder_is_in_place(folder)) {
            i++;
            continue;
        }
        tell_gone(folder);
        folders_forget(inotify, folder);
    }
}

static void take_event(const struct inotify_event *event) {
    if (event->mask & IN_Q_OVERFLOW) {
        /* which folders were moved is lost, too */
        watch_end();
        tell(NULL, CHANGE_LOST, "");
    } else if (event->mask & (IN_IGNORED | IN_MOVE_SELF)) {
        take_itself(event->wd, event->mask & IN_IGNORED);
    } else if (event->len > 0 && !is_temporary(event->name)) {
        take_name(event->wd, event->mask, event->name);
    }
}

bool watch_take(void) {
    static _Alignas(struct inotify_event) char events[64 * 1024];
    last_size = 0;
    ssize_t size = inotify >= 0 ? read(inotify, events, sizeof events) : 0;
    for (ssize_t at = 0; at < size && inotify >= 0;) {
        const struct inotify_event *event = (const struct inotify_event *)(events + at);
        take_event(event);
        at += (ssize_t)(sizeof *event + event->len);
    }
    tell_opened();
    flush();
    return !output_closed;
}

int watch_descriptor(void) { return inotify; }

int watch_timeout(void) {
    int64_t left = opened_count > 0 ? opened[0].until - monotonic_ms() : -1;
    return opened_count == 0 ? -1 : left > 0 ? (int)left : 0;
}

/* ---- which folders ---- */

/* A watch of an open folder, or -error. The call wants a path, and /proc may be missing. */
static int watch_open_folder(int folder) {
    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (here < 0)
        return -errno;
    int watch = fchdir(folder) == 0 ? inotify_add_watch(inotify, ".", MASK) : -1;
    int error = watch >= 0 ? 0 : errno == ENOSPC ? E_NO_WATCHES : errno;
    /* a process holds the folder that it is in: the end of it would be told late */
    if (fchdir(here) != 0 && !error)
        error = errno;
    close(here);
    return error ? -error : watch;
}

static int watch_node(struct folder *folder, int watch, int fd) {
    struct stat stat;
    if (folder->watch == watch)
        return 0;
    if (folder->watch >= 0) {
        /* another folder came to the place of the former one, which the events that wait have not told yet */
        last_size = 0;
        tell_gone(folder);
        flush();
        folders_forget_below(inotify, folder);
        folders_detach(inotify, folder);
    }
    if (fstat(fd, &stat) != 0)
        return errno;
    folder->device = stat.st_dev;
    folder->inode = stat.st_ino;
    return folders_attach(folder, watch) ? 0 : ENOMEM;
}

int watch_add(uint8_t root, const char *path, int folder) {
    if (inotify < 0)
        inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (inotify < 0)
        return errno == EMFILE ? E_NO_INSTANCES : errno;
    int watch = watch_open_folder(folder);
    if (watch < 0)
        return -watch;
    struct folder *node = folders_node(root, path);
    int error = node ? watch_node(node, watch, folder) : ENOMEM;
    if (error && node)
        folders_forget(inotify, node);
    if (error && !folders_of(watch, 0))
        inotify_rm_watch(inotify, watch);
    return error;
}

void watch_end(void) {
    /* ends all watches at once, and what waits to be read of them */
    if (inotify >= 0)
        close(inotify);
    inotify = -1;
    folders_end();
    opened_count = 0;
}
