/* The socket between the supervisor and the receivers of one container.
 *
 * It is an abstract Unix socket, so it needs no writable folder. Abstract names belong to the network namespace, which
 * the containers of a pod (and with hostNetwork the whole node) share; the inode of the mount namespace makes the name
 * unique: processes that Kubernetes starts by exec are in the mount namespace of their container, also where
 * the process namespace is shared.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "helper.h"

static socklen_t control_address(struct sockaddr_un *address) {
    struct stat mounts = {0};
    /* a sandbox without /proc/self/ns has no shared network namespace to be told apart in either */
    (void)stat("/proc/self/ns/mnt", &mounts);
    memset(address, 0, sizeof *address);
    address->sun_family = AF_UNIX;
    int length = snprintf(address->sun_path + 1, sizeof address->sun_path - 1, "innerloop/%llu",
                          (unsigned long long)mounts.st_ino);
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

/* Another user of the same network namespace may have taken the name, or may know it. */
static bool is_trusted(int socket) {
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0
        && (peer.uid == 0 || peer.uid == geteuid() || geteuid() == 0);
}

int control_listen(void) {
    struct sockaddr_un address;
    socklen_t size = control_address(&address);
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (listener < 0)
        return -1;
    if (bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 8) == 0)
        return listener;
    close(listener);
    return -1;
}

int control_connect(void) {
    struct sockaddr_un address;
    socklen_t size = control_address(&address);
    int connection = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (connection < 0)
        return -1;
    if (connect(connection, (struct sockaddr *)&address, size) == 0 && is_trusted(connection))
        return connection;
    close(connection);
    return -1;
}

int control_accept(int listener) {
    int connection = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (connection < 0 || is_trusted(connection))
        return connection;
    close(connection);
    return -1;
}
