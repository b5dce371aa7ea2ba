/* Folders that are watched, by one inotify(7) instance that exists from the first of them on.
 *
 * What the kernel calls a watch belongs to a folder, whatever its name; the sender thinks in paths. So there is a tree of
 * names for each root, and a table from watches to its nodes. Two nodes may share a watch: roots may lie in each other.
 * When a folder is moved or removed, its node goes with all below it, and the sender is told.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

/* No IN_MODIFY: a file counts when its writer closes it. IN_ATTRIB is a change of mode, owner or times. */
#define IN_FOLDER (IN_CREATE | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO)
#define MASK (IN_FOLDER | IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK)
/* A new file that is not closed so soon is told all the same: some are never closed. */
#define CLOSING_MS 1000
#define MAX_OPENED 64
#define MAX_CHANGED (FRAME_HEADER + 2 + 2 + PATH_MAX + 2 + NAME_MAX)

struct folder {
    int watch; /* -1: only on the way to folders that are watched */
    uint8_t root;
    dev_t device;
    ino_t inode;
    struct folder *parent, *children, *next;
    char name[]; /* empty: the root */
};

static int inotify = -1;
static struct folder *tops[MAX_ROOTS];
static struct {
    int watch;
    struct folder *folder;
} *table; /* by watch */
static size_t table_size, table_capacity;

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

static const char *path_of(const struct folder *folder, char path[PATH_MAX]) {
    char *at = path + PATH_MAX - 1;
    *at = 0;
    for (; folder->parent; folder = folder->parent) {
        size_t size = strlen(folder->name);
        if (*at)
            *--at = '/';
        at -= size;
        memcpy(at, folder->name, size);
    }
    return at;
}

static void tell(const struct folder *folder, enum change change, const char *name) {
    char buffer[PATH_MAX];
    uint8_t data[MAX_CHANGED];
    struct builder frame;
    const char *path = folder ? path_of(folder, buffer) : "";
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

/* ---- the table from watches to folders ---- */

/* Index of the first entry of a watch, or where it would be. */
static size_t place_of(int watch) {
    size_t low = 0, high = table_size;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (table[middle].watch < watch)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The folders of a watch, one after the other; NULL after the last. */
static struct folder *folder_of(int watch, size_t number) {
    size_t place = place_of(watch) + number;
    return place < table_size && table[place].watch == watch ? table[place].folder : NULL;
}

static bool attach(struct folder *folder, int watch) {
    if (table_size == table_capacity) {
        size_t capacity = table_capacity ? 2 * table_capacity : 64;
        void *larger = realloc(table, capacity * sizeof *table);
        if (!larger)
            return false;
        table = larger;
        table_capacity = capacity;
    }
    size_t place = place_of(watch);
    memmove(table + place + 1, table + place, (table_size - place) * sizeof *table);
    table[place].watch = folder->watch = watch;
    table[place].folder = folder;
    table_size++;
    return true;
}

static void detach(struct folder *folder) {
    if (folder->watch < 0)
        return;
    size_t place = place_of(folder->watch);
    while (table[place].folder != folder)
        place++;
    memmove(table + place, table + place + 1, (table_size - place - 1) * sizeof *table);
    table_size--;
    /* fails for a folder that is no more: the kernel ended that watch itself */
    if (!folder_of(folder->watch, 0))
        inotify_rm_watch(inotify, folder->watch);
    folder->watch = -1;
}

/* ---- the tree of names ---- */

static struct folder *child_of(const struct folder *folder, const char *name, size_t size) {
    struct folder *child = folder->children;
    while (child && !(strncmp(child->name, name, size) == 0 && child->name[size] == 0))
        child = child->next;
    return child;
}

static struct folder *new_folder(uint8_t root, struct folder *parent, const char *name, size_t size) {
    struct folder *folder = calloc(1, sizeof *folder + size + 1);
    if (!folder)
        return NULL;
    folder->watch = -1;
    folder->root = root;
    folder->parent = parent;
    memcpy(folder->name, name, size);
    struct folder **first = parent ? &parent->children : &tops[root];
    folder->next = *first;
    *first = folder;
    return folder;
}

/* The node of a path that tree_open() took, made if need be; NULL: no memory. */
static struct folder *node_of(uint8_t root, const char *path) {
    struct folder *folder = tops[root] ? tops[root] : new_folder(root, NULL, "", 0);
    while (folder && *path) {
        size_t size = strcspn(path, "/");
        struct folder *child = child_of(folder, path, size);
        folder = child ? child : new_folder(root, folder, path, size);
        path += size + (path[size] == '/');
    }
    return folder;
}

static void unlink_node(struct folder *folder) {
    struct folder **link = folder->parent ? &folder->parent->children : &tops[folder->root];
    while (*link != folder)
        link = &(*link)->next;
    *link = folder->next;
    free(folder);
}

static void forget_below(struct folder *top) {
    struct folder *folder = top;
    for (;;) {
        while (folder->children)
            folder = folder->children;
        if (folder == top)
            return;
        struct folder *parent = folder->parent;
        detach(folder);
        unlink_node(folder);
        folder = parent;
    }
}

/* With all below it, and what above it only led here. */
static void forget(struct folder *folder) {
    forget_below(folder);
    detach(folder);
    while (folder && folder->watch < 0 && !folder->children) {
        struct folder *parent = folder->parent;
        unlink_node(folder);
        folder = parent;
    }
}

/* The name in the folder above is told after it: there may be another folder already. */
static void tell_gone(const struct folder *folder) {
    tell(folder, CHANGE_GONE, "");
    if (folder->parent && folder->parent->watch >= 0)
        tell(folder->parent, CHANGE_NAME, folder->name);
}

static int open_node(const struct folder *folder) {
    char buffer[PATH_MAX];
    return tree_open(&roots[folder->root], path_of(folder, buffer));
}

/* Whether the path still leads to the folder that is watched under it. */
static bool is_in_place(const struct folder *folder) {
    struct stat found;
    int fd = folder->watch >= 0 ? open_node(folder) : -1;
    if (fd < 0)
        return false;
    bool same = fstat(fd, &found) == 0 && found.st_dev == folder->device && found.st_ino == folder->inode;
    close(fd);
    return same;
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
    int fd = open_node(folder);
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
    if (!created || !folder_of(watch, 0) || !is_new_file(folder_of(watch, 0), name))
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
        for (size_t i = 0; (folder = folder_of(opened[0].watch, i)); i++)
            tell(folder, CHANGE_NAME, opened[0].name);
        forget_opened(0);
    }
}

/* ---- events ---- */

static void take_name(int watch, uint32_t mask, const char *name) {
    struct folder *folder;
    if (waits_for_close(watch, mask, name))
        return;
    for (size_t i = 0; (folder = folder_of(watch, i)); i++) {
        bool went = (mask & IN_ISDIR) && (mask & (IN_DELETE | IN_MOVED_FROM));
        struct folder *child = went ? child_of(folder, name, strlen(name)) : NULL;
        if (child && !is_in_place(child)) {
            tell_gone(child);
            forget(child);
        } else {
            tell(folder, CHANGE_NAME, name);
        }
    }
}

/* The folder itself was moved, or is no more. */
static void take_itself(int watch, bool ended) {
    struct folder *folder;
    for (size_t i = 0; (folder = folder_of(watch, i));) {
        if (!ended && is_in_place(folder)) {
            i++;
            continue;
        }
        tell_gone(folder);
        forget(folder);
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
        forget_below(folder);
        detach(folder);
    }
    if (fstat(fd, &stat) != 0)
        return errno;
    folder->device = stat.st_dev;
    folder->inode = stat.st_ino;
    return attach(folder, watch) ? 0 : ENOMEM;
}

int watch_add(uint8_t root, const char *path, int folder) {
    if (inotify < 0)
        inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (inotify < 0)
        return errno == EMFILE ? E_NO_INSTANCES : errno;
    int watch = watch_open_folder(folder);
    if (watch < 0)
        return -watch;
    struct folder *node = node_of(root, path);
    int error = node ? watch_node(node, watch, folder) : ENOMEM;
    if (error && node)
        forget(node);
    if (error && !folder_of(watch, 0))
        inotify_rm_watch(inotify, watch);
    return error;
}

void watch_end(void) {
    /* ends all watches at once, and what waits to be read of them */
    if (inotify >= 0)
        close(inotify);
    inotify = -1;
    for (size_t i = 0; i < table_size; i++)
        table[i].folder->watch = -1;
    table_size = opened_count = 0;
    for (int i = 0; i < MAX_ROOTS; i++)
        if (tops[i])
            forget(tops[i]);
}
