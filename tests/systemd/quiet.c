/* quiet: a service that does nothing but tell systemd that it is ready. What it takes to
 * be started again is what systemd and the machine take, without any daemon. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(void)
{
    static const char ready[] = "READY=1";
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const size_t n = path ? strlen(path) : 0;
    const int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (n == 0 || n >= sizeof to.sun_path || fd < 0)
        return 1;
    memcpy(to.sun_path, path, n);
    if (*path == '@')
        to.sun_path[0] = '\0';
    if (sendto(fd, ready, sizeof ready - 1, 0, (const struct sockaddr *)&to,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)) < 0)
        return perror("quiet"), 1;
    for (;;)
        pause();
}
