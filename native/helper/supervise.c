/* `loop-helper run -- COMMAND…`: process 1 of a container that is developed.
 *
 * Starts the command in a process group of its own, starts it anew when asked, passes signals on, reaps orphans, and
 * stays when the command ends, so that the container keeps its files and a saved file can mend what was wrong. When
 * the container is to stop, the command gets the signal first and its exit status becomes ours.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "helper.h"

#define MAX_CLIENTS 16
/* After SIGKILL, for what is left of the former process group. */
#define KILL_WAIT_MS 1000

struct client {
    int fd; /* -1: free */
    bool waits;
    uint32_t request;
};

static char **command;
static int grace_ms;
static pid_t app;   /* 0: not running */
static pid_t group; /* of the last start, 0: known to be empty */
static int status;  /* exit status of the last end; minus the signal's number when one ended it */
static bool restarting, killed, stopping;
static int64_t deadline;
static struct client clients[MAX_CLIENTS];

/* The container's log is where people look first. One write, so that lines of the program do not mix with it. */
static void say(const char *format, ...) {
    char line[1024] = "[innerloop] ";
    size_t prefix = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line + prefix, sizeof line - prefix - 1, format, arguments);
    va_end(arguments);
    strcat(line, "\n");
    if (write(STDERR_FILENO, line, strlen(line)) < 0)
        return;
}

static void send_to(struct client *client, struct builder *frame) {
    /* whoever does not take what we send gets no more of it: process 1 must not wait for anyone */
    if (send(client->fd, frame->data, frame->size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)frame->size)
        return;
    close(client->fd);
    client->fd = -1;
}

static void send_state(struct client *client) {
    uint8_t buffer[32];
    struct builder frame;
    frame_begin(&frame, buffer, sizeof buffer, STATE);
    put_u8(&frame, restarting ? RESTARTING : app ? RUNNING : EXITED);
    put_u32(&frame, (uint32_t)app);
    put_u32(&frame, (uint32_t)status);
    frame_end(&frame);
    send_to(client, &frame);
}

static void tell_state(void) {
    for (struct client *client = clients; client < clients + MAX_CLIENTS; client++)
        if (client->fd >= 0)
            send_state(client);
}

static void answer_restarts(enum restart_result result, const char *text) {
    uint8_t buffer[512];
    struct builder frame;
    for (struct client *client = clients; client < clients + MAX_CLIENTS; client++) {
        if (client->fd < 0 || !client->waits)
            continue;
        client->waits = false;
        frame_begin(&frame, buffer, sizeof buffer, RESTARTED);
        put_u32(&frame, client->request);
        put_u8(&frame, (uint8_t)result);
        put_string(&frame, text, strlen(text));
        frame_end(&frame);
        send_to(client, &frame);
    }
}

static void become_command(int failure) {
    sigset_t none;
    setpgid(0, 0);
    if (isatty(STDIN_FILENO))
        tcsetpgrp(STDIN_FILENO, getpid());
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(command[0], command);
    int error = errno;
    if (write(failure, &error, sizeof error) < 0)
        _exit(126);
    _exit(127);
}

/* Returns 0 or why the command could not be started. The pipe closes by itself when exec succeeds. */
static int spawn(void) {
    int failure[2], error = 0;
    if (pipe2(failure, O_CLOEXEC) != 0)
        return errno;
    pid_t child = fork();
    if (child == 0)
        become_command(failure[1]);
    close(failure[1]);
    if (child < 0)
        error = errno;
    else if (read(failure[0], &error, sizeof error) != sizeof error)
        error = 0;
    close(failure[0]);
    if (child > 0 && error)
        waitpid(child, NULL, 0);
    if (child > 0 && !error)
        app = group = child;
    return error;
}

static void start(void) {
    char text[256] = "";
    restarting = killed = false;
    int error = spawn();
    if (error) {
        status = 127;
        snprintf(text, sizeof text, "cannot start %.200s: %s", command[0], strerror(error));
        say("%s", text);
    }
    answer_restarts(error ? NOT_STARTED : STARTED, text);
    tell_state();
}

static bool group_is_empty(void) {
    if (group && kill(-group, 0) != 0 && errno == ESRCH)
        group = 0;
    return group == 0;
}

static void signal_group(int number) {
    if (!group_is_empty())
        kill(-group, number);
}

static void restart(void) {
    if (restarting || stopping)
        return;
    restarting = true;
    deadline = monotonic_ms() + grace_ms;
    tell_state();
    signal_group(SIGTERM);
    signal_group(SIGCONT);
}

/* Goes on with a restart as far as it can. */
static void proceed(void) {
    if (!restarting || stopping)
        return;
    if (!app && group_is_empty()) {
        start();
        return;
    }
    if (monotonic_ms() < deadline)
        return;
    if (killed && !app) {
        start(); /* someone else's child that nobody reaps: do not wait for it for ever */
        return;
    }
    if (!killed)
        say("%s did not end %g s after SIGTERM: killed", command[0], grace_ms / 1000.0);
    signal_group(SIGKILL);
    killed = true;
    deadline = monotonic_ms() + KILL_WAIT_MS;
}

static void app_ended(int wait_status) {
    app = 0;
    status = WIFSIGNALED(wait_status) ? -WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
    if (restarting || stopping)
        return;
    if (status < 0)
        say("%s was ended by signal %d (%s); the container stays: save a file or run 'loop restart'", command[0], -status,
            strsignal(-status));
    else
        say("%s ended with status %d; the container stays: save a file or run 'loop restart'", command[0], status);
    tell_state();
}

static void reap(void) {
    int wait_status;
    pid_t child;
    while ((child = waitpid(-1, &wait_status, WNOHANG)) > 0)
        if (child == app)
            app_ended(wait_status);
}

/* Signals that mean the end of the container. A runtime sends the image's STOPSIGNAL, which can be any; it comes from
 * outside of the container's process namespace and so has no sender here. The terminal's come from the kernel. */
static bool is_stop(const struct signalfd_siginfo *info) {
    int number = (int)info->ssi_signo;
    return number == SIGTERM || number == SIGINT || number == SIGQUIT
        || (info->ssi_code == SI_USER && info->ssi_pid == 0);
}

static void take_signal(const struct signalfd_siginfo *info) {
    int number = (int)info->ssi_signo;
    if (number == SIGCHLD) {
        reap();
        return;
    }
    if (number == SIGTTIN || number == SIGTTOU)
        return;
    if (is_stop(info)) {
        stopping = true;
        signal_group(number);
    } else if (app) {
        kill(app, number);
    }
}

/* To all processes that the command started and that did not leave its group. */
static void answer_signal(struct client *client, uint32_t id, int number) {
    uint8_t buffer[16];
    struct builder frame;
    bool sent = !group_is_empty() && kill(-group, number) == 0;
    frame_begin(&frame, buffer, sizeof buffer, SIGNALLED);
    put_u32(&frame, id);
    put_u8(&frame, sent ? SIGNAL_SENT : SIGNAL_NO_PROCESS);
    frame_end(&frame);
    send_to(client, &frame);
}

static void take_request(struct client *client) {
    uint8_t buffer[64];
    struct frame frame;
    ssize_t size = recv(client->fd, buffer, sizeof buffer, 0);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    bool whole = size > 0 && frame_next(buffer, (size_t)size, &frame) > 0;
    uint32_t id = whole ? take_u32(&frame.payload) : 0;
    if (whole && frame.type == RESTART) {
        client->waits = true;
        client->request = id;
        restart();
    } else if (whole && frame.type == SIGNAL) {
        answer_signal(client, id, take_u8(&frame.payload));
    } else {
        close(client->fd);
        client->fd = -1;
    }
}

static void take_client(int listener) {
    int fd = control_accept(listener);
    if (fd < 0)
        return;
    for (struct client *client = clients; client < clients + MAX_CLIENTS; client++)
        if (client->fd < 0) {
            *client = (struct client){.fd = fd};
            send_state(client);
            return;
        }
    close(fd);
}

static int open_signals(void) {
    sigset_t all;
    sigfillset(&all);
    /* faults of our own must end us, not be kept back */
    const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&all, faults[i]);
    sigprocmask(SIG_SETMASK, &all, NULL);
    return signalfd(-1, &all, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void wait_and_take(int signals, int listener) {
    struct pollfd sources[2 + MAX_CLIENTS] = {{signals, POLLIN, 0}, {listener, POLLIN, 0}};
    for (int i = 0; i < MAX_CLIENTS; i++)
        sources[2 + i] = (struct pollfd){clients[i].fd, POLLIN, 0};
    int64_t left = deadline - monotonic_ms();
    if (poll(sources, 2 + MAX_CLIENTS, !restarting ? -1 : left > 0 ? (int)left + 1 : 0) < 0)
        return;
    struct signalfd_siginfo info;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
        take_signal(&info);
    for (int i = 0; i < MAX_CLIENTS; i++)
        if (sources[2 + i].revents && clients[i].fd == sources[2 + i].fd)
            take_request(&clients[i]);
    if (sources[1].revents)
        take_client(listener);
}

int run_supervisor(int grace, char **arguments) {
    command = arguments;
    grace_ms = grace;
    for (int i = 0; i < MAX_CLIENTS; i++)
        clients[i].fd = -1;
    int signals = open_signals();
    int listener = control_listen();
    if (listener < 0)
        say("restart will not work: cannot listen: %s", strerror(errno));
    /* orphans come to us also where another process is number 1 (shareProcessNamespace) */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    start();
    while (!stopping || app) {
        wait_and_take(signals, listener);
        proceed();
    }
    signal_group(SIGKILL);
    return status < 0 ? 128 - status : status;
}

int run_restart(void) {
    uint8_t buffer[1024];
    struct builder request;
    int control = control_connect();
    if (control < 0) {
        dprintf(STDERR_FILENO, "no supervisor in this container\n");
        return 3;
    }
    frame_begin(&request, buffer, sizeof buffer, RESTART);
    put_u32(&request, 1);
    frame_end(&request);
    if (send(control, buffer, request.size, MSG_NOSIGNAL) < 0)
        return 1;
    for (;;) {
        struct frame frame;
        ssize_t size = recv(control, buffer, sizeof buffer, 0);
        if (size <= 0 || frame_next(buffer, (size_t)size, &frame) <= 0)
            return 1;
        if (frame.type != RESTARTED)
            continue;
        take_u32(&frame.payload);
        uint8_t result = take_u8(&frame.payload);
        uint16_t length;
        const uint8_t *text = take_string(&frame.payload, &length);
        if (length)
            dprintf(STDERR_FILENO, "%.*s\n", (int)length, (const char *)text);
        return result == STARTED ? 0 : 1;
    }
}
