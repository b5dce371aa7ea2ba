/* The folders that are watched, for watch.c.
 *
 * What the kernel calls a watch belongs to a folder, whatever its name; the sender thinks in paths. So there is a tree of
 * names for each root, and a table from watches to its nodes. Two nodes may share a watch: roots may lie in each other.
 */
#ifndef FOLDERS_H
#define FOLDERS_H

#include "helper.h"

struct folder {
    int watch; /* -1: only on the way to folders that are watched */
    uint8_t root;
    dev_t device;
    ino_t inode;
    struct folder *parent, *children, *next;
    char name[]; /* empty: the root */
};

/* The path below the root, somewhere in the buffer. */
const char *folder_path(const struct folder *folder, char path[PATH_MAX]);
/* The folder itself, as tree_open(). */
int folder_open(const struct folder *folder);
/* Whether the path still leads to the folder that is watched under it. */
bool folder_is_in_place(const struct folder *folder);
/* The folder of this name in another one; NULL: it is not known. */
struct folder *folder_child(const struct folder *folder, const char *name, size_t size);

/* The node of a path that tree_open() took, made if need be; NULL: no memory. */
struct folder *folders_node(uint8_t root, const char *path);
/* The folders of a watch, one after the other; NULL after the last. */
struct folder *folders_of(int watch, size_t number);
/* Have a watch for a folder that has none; false: no memory. */
bool folders_attach(struct folder *folder, int watch);
/* Have none any more; the watch ends with its last folder. */
void folders_detach(int inotify, struct folder *folder);
void folders_forget_below(int inotify, struct folder *top);
/* With all below it, and what above it only led here. */
void folders_forget(int inotify, struct folder *folder);
/* Forget all, whose watches have ended. */
void folders_end(void);

#endif
