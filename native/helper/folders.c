/* The folders that are watched: a tree of names for each root, and the nodes by watch. */
#define _GNU_SOURCE
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "folders.h"

static struct folder *tops[MAX_ROOTS];
static struct {
    int watch;
    struct folder *folder;
} *table; /* by watch */
static size_t table_size, table_capacity;

const char *folder_path(const struct folder *folder, char path[PATH_MAX]) {
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

int folder_open(const struct folder *folder) {
    char buffer[PATH_MAX];
    return tree_open(&roots[folder->root], folder_path(folder, buffer));
}

bool folder_is_in_place(const struct folder *folder) {
    struct stat found;
    int fd = folder->watch >= 0 ? folder_open(folder) : -1;
    if (fd < 0)
        return false;
    bool same = fstat(fd, &found) == 0 && found.st_dev == folder->device && found.st_ino == folder->inode;
    close(fd);
    return same;
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

struct folder *folders_of(int watch, size_t number) {
    size_t place = place_of(watch) + number;
    return place < table_size && table[place].watch == watch ? table[place].folder : NULL;
}

bool folders_attach(struct folder *folder, int watch) {
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

void folders_detach(int inotify, struct folder *folder) {
    if (folder->watch < 0)
        return;
    size_t place = place_of(folder->watch);
    while (table[place].folder != folder)
        place++;
    memmove(table + place, table + place + 1, (table_size - place - 1) * sizeof *table);
    table_size--;
    /* fails for a folder that is no more: the kernel ended that watch itself */
    if (!folders_of(folder->watch, 0))
        inotify_rm_watch(inotify, folder->watch);
    folder->watch = -1;
}

/* ---- the tree of names ---- */

struct folder *folder_child(const struct folder *folder, const char *name, size_t size) {
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

struct folder *folders_node(uint8_t root, const char *path) {
    struct folder *folder = tops[root] ? tops[root] : new_folder(root, NULL, "", 0);
    while (folder && *path) {
        size_t size = strcspn(path, "/");
        struct folder *child = folder_child(folder, path, size);
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

void folders_forget_below(int inotify, struct folder *top) {
    struct folder *folder = top;
    for (;;) {
        while (folder->children)
            folder = folder->children;
        if (folder == top)
            return;
        struct folder *parent = folder->parent;
        folders_detach(inotify, folder);
        unlink_node(folder);
        folder = parent;
    }
}

void folders_forget(int inotify, struct folder *folder) {
    folders_forget_below(inotify, folder);
    folders_detach(inotify, folder);
    while (folder && folder->watch < 0 && !folder->children) {
        struct folder *parent = folder->parent;
        unlink_node(folder);
        folder = parent;
    }
}

void folders_end(void) {
    for (size_t i = 0; i < table_size; i++)
        table[i].folder->watch = -1;
    table_size = 0;
    for (int i = 0; i < MAX_ROOTS; i++)
        if (tops[i])
            folders_forget(-1, tops[i]);
}
