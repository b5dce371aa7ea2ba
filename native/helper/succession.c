/* One receiver per folder: a new one ends those before it.
 *
 * When a stream breaks, its receiver may go on for a while: with what is still in its pipe, or when it was stopped.
 * What it then writes is older than what its successor wrote, and the sender would never know. So each receiver holds
 * an abstract Unix socket per folder; whoever finds it taken kills the holder, whom the kernel names, and has the
 * folder for itself before it says a word. (Abstract names: see control.c.)
 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "helper.h"

#define PATIENCE_MS 5000
#define RETRY_MS 5

static socklen_t address_of(const char *path, struct sockaddr_un *address) {
    struct stat mounts = {0}, slash = {0};
    struct sha256 hash;
    uint8_t digest[DIGEST_SIZE];
    (void)stat("/proc/self/ns/mnt", &mounts);
    /* tells containers apart where a sandbox shows no namespaces */
    (void)stat("/", &slash);
    sha256_begin(&hash);
    sha256_add(&hash, (const uint8_t *)path, strlen(path));
    sha256_end(&hash, digest);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    int length = snprintf(address->sun_path + 1, sizeof address->sun_path - 1,
                          "innerloop/%llu/%llx/%02x%02x%02x%02x%02x%02x%02x%02x", (unsigned long long)mounts.st_ino,
                          (unsigned long long)slash.st_dev, digest[0], digest[1], digest[2], digest[3], digest[4],
                          digest[5], digest[6], digest[7]);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

/* Kills who listens there; false when it is nobody whom we could end. */
static bool end_holder(const struct sockaddr_un *address, socklen_t size) {
    struct ucred holder = {0};
    socklen_t length = sizeof holder;
    int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (connection < 0)
        return false;
    bool found = connect(connection, (const struct sockaddr *)address, size) == 0
        && getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &holder, &length) == 0;
    bool gone = !found && errno == ECONNREFUSED;
    close(connection);
    /* 0: in a process namespace that we do not see */
    return gone || (found && holder.pid > 0 && kill(holder.pid, SIGKILL) == 0);
}

bool succeed(const char *path) {
    struct sockaddr_un address;
    socklen_t size = address_of(path, &address);
    int own = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (own < 0)
        return true; /* a sandbox without Unix sockets: nothing can be known */
    for (int waited = 0; bind(own, (struct sockaddr *)&address, size) != 0; waited += RETRY_MS) {
        if (errno != EADDRINUSE)
            return true;
        if (waited >= PATIENCE_MS || !end_holder(&address, size))
            return false;
        poll(NULL, 0, RETRY_MS);
    }
    /* never closed: it is what successors find. What connects is never answered. */
    return listen(own, 8) == 0;
}
