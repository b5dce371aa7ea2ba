/* A web server of one static program, for images with nothing else in them: answers "GREETING | content of PAGE". */
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void answer(int client) {
    char request[4096], page[256], reply[512];
    ssize_t size = 0;
    if (read(client, request, sizeof request) <= 0)
        return;
    int file = open(PAGE, O_RDONLY);
    if (file >= 0)
        size = read(file, page, sizeof page);
    close(file);
    if (size < 0)
        size = 0;
    int length = snprintf(reply, sizeof reply, "HTTP/1.0 200 OK\r\nContent-Length: %zu\r\n\r\n%s | %.*s",
                          strlen(GREETING " | ") + (size_t)size, GREETING, (int)size, page);
    for (int done = 0; done < length;) {
        ssize_t written = write(client, reply + done, (size_t)(length - done));
        if (written <= 0)
            return;
        done += (int)written;
    }
}

int main(void) {
    int yes = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(8000)};
    signal(SIGPIPE, SIG_IGN);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16) != 0)
        return 1;
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client >= 0) {
            answer(client);
            close(client);
        }
    }
}
