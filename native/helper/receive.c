/* `loop-helper sync ROOT…`: takes frames from stdin, changes files and looks at them, answers on stdout; ends with its
 * input. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "helper.h"

static int control = -1;
static bool greeted;
static uint8_t input[FRAME_HEADER + MAX_PAYLOAD];
static size_t held; /* of a frame that is not complete */
static bool owing;  /* operations are not acknowledged yet */

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
    put_u64(&frame, (uint64_t)wall_clock_ns());
    greeted = true;
    return send_frame(&frame) && (version == PROTOCOL_VERSION || fatal("another version of the sync protocol"));
}

static bool commit(struct cursor *payload) {
    uint8_t buffer[16];
    struct builder frame;
    tree_forget();
    frame_begin(&frame, buffer, sizeof buffer, COMMITTED);
    put_u32(&frame, take_u32(payload));
    return send_frame(&frame);
}

/* Whether the supervisor has got a request, whose answer it sends itself. */
static bool pass_to_supervisor(struct builder *frame) {
    frame_end(frame);
    return control >= 0 && send(control, frame->data, frame->size, MSG_NOSIGNAL) == (ssize_t)frame->size;
}

static bool ask_for_restart(struct cursor *payload) {
    uint8_t buffer[16];
    struct builder frame;
    uint32_t id = take_u32(payload);
    frame_begin(&frame, buffer, sizeof buffer, RESTART);
    put_u32(&frame, id);
    if (pass_to_supervisor(&frame))
        return true;
    frame_begin(&frame, buffer, sizeof buffer, RESTARTED);
    put_u32(&frame, id);
    put_u8(&frame, NO_SUPERVISOR);
    put_string(&frame, "", 0);
    return send_frame(&frame);
}

static bool ask_for_signal(struct cursor *payload) {
    uint8_t buffer[16];
    struct builder frame;
    uint32_t id = take_u32(payload);
    frame_begin(&frame, buffer, sizeof buffer, SIGNAL);
    put_u32(&frame, id);
    put_u8(&frame, take_u8(payload));
    if (payload->broken)
        return fatal("broken frame: signal");
    if (pass_to_supervisor(&frame))
        return true;
    frame_begin(&frame, buffer, sizeof buffer, SIGNALLED);
    put_u32(&frame, id);
    put_u8(&frame, SIGNAL_NO_SUPERVISOR);
    return send_frame(&frame);
}

static bool concerns_folders(uint8_t type) {
    return type != HELLO && type != COMMIT && type != RESTART && type != SIGNAL;
}

/* Nobody else writes to the folders from here on. */
static bool take_over(void) {
    static bool alone;
    for (int i = 0; i < root_count && !alone; i++) {
        bool again = false;
        for (int j = 0; j < i; j++)
            again = again || strcmp(roots[i].path, roots[j].path) == 0;
        if (!again && !succeed(roots[i].path))
            return fatal("another sync of the same folder does not end");
    }
    return alone = true;
}

static bool handle(struct frame *frame) {
    if (!greeted && frame->type != HELLO)
        return fatal("not the sync protocol");
    if (concerns_folders(frame->type) && !take_over())
        return false;
    switch (frame->type) {
    case HELLO: return greet(&frame->payload);
    case CHECK:
    case LOOK: return question_begin(frame->type, &frame->payload);
    case LIST: return answer_list(&frame->payload);
    case READ: return answer_read(&frame->payload);
    case FILE_BEGIN: return file_begin(&frame->payload);
    case FILE_DATA: return file_data(&frame->payload);
    case FILE_END: return file_end(&frame->payload);
    case FILE_ABORT: file_abort(); return true;
    case FOLDER:
    case LINK:
    case DELETE:
    case RENAME:
    case MODE: return operate(frame->type, &frame->payload);
    case COMMIT: return commit(&frame->payload);
    case RESTART: return ask_for_restart(&frame->payload);
    case SIGNAL: return ask_for_signal(&frame->payload);
    default: return fatal("unknown frame");
    }
}

/* What the supervisor says is a frame already. */
static bool pass_on(void) {
    uint8_t buffer[1024];
    ssize_t size = recv(control, buffer, sizeof buffer, 0);
    if (size > 0)
        return send_bytes(buffer, (size_t)size);
    close(control);
    control = -1;
    return true;
}

static bool is_operation(uint8_t type) { return type >= FILE_BEGIN && type <= MODE; }

static bool take_input(void) {
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
        send_alive(true);
        if (!handle(&frame))
            return false;
        owing = frame.type != COMMIT && (owing || is_operation(frame.type));
        done += (size_t)taken;
    }
    memmove(input, input + done, held - done);
    held -= done;
    return true;
}

/* Milliseconds until something is to be done though nobody says anything; `heard`: when the sender last did. */
static int patience(int64_t heard) {
    int64_t left = heard + IDLE_TIMEOUT_MS - monotonic_ms();
    int told = watch_timeout();
    int wait = left < 0 ? 0 : (int)left;
    return question_is_going() ? 0 : told >= 0 && told < wait ? told : wait;
}

/* Takes what is there from whoever has something to say. */
static bool wait_and_take(int ending, int64_t *heard) {
    struct pollfd sources[4] = {{STDIN_FILENO, POLLIN, 0},
                                {greeted ? control : -1, POLLIN, 0},
                                {watch_descriptor(), POLLIN, 0},
                                {ending, POLLIN, 0}};
    int ready = poll(sources, 4, patience(*heard));
    if (ready < 0)
        return errno == EINTR && monotonic_ms() - *heard < IDLE_TIMEOUT_MS;
    if (sources[3].revents || (sources[1].revents && !pass_on()) || !watch_take())
        return false;
    bool going = ready > 0 || question_is_going() || monotonic_ms() - *heard < IDLE_TIMEOUT_MS;
    if (sources[0].revents) {
        going = take_input();
        *heard = monotonic_ms();
    }
    if (going && question_is_going())
        going = question_go_on();
    /* a sender in full flow has begun its next frame; but what is watched may be replaced at any time */
    if (held == 0 || watch_descriptor() >= 0)
        tree_forget();
    send_alive(owing || held > 0 || question_is_going());
    return going;
}

/* Readable once this process is asked to end: then a file on its way is removed before. */
static int catch_signals(void) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    int ending = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    if (ending >= 0)
        sigprocmask(SIG_BLOCK, &signals, NULL);
    return ending;
}

int run_receiver(int count, char **paths) {
    if (count > MAX_ROOTS)
        return 2;
    for (root_count = 0; root_count < count; root_count++)
        roots[root_count] = (struct root){paths[root_count], -1, false};
    signal(SIGPIPE, SIG_IGN);
    int ending = catch_signals();
    /* modes are what the sender says */
    umask(0);
    fcntl(STDOUT_FILENO, F_SETFL, fcntl(STDOUT_FILENO, F_GETFL) | O_NONBLOCK);
    greeted = false;
    held = 0;
    control = control_connect();
    int64_t heard = monotonic_ms();
    while (wait_and_take(ending, &heard))
        continue;
    file_abort();
    question_end();
    watch_end();
    tree_forget();
    if (control >= 0)
        close(control);
    if (ending >= 0)
        close(ending);
    return 0;
}
