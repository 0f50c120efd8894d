#include "serve/procfile.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

bool procfile_read(const char *path, char *to, size_t size)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const ssize_t n = read(fd, to, size - 1);
    close(fd);
    to[n > 0 ? n : 0] = '\0';
    return n > 0;
}

bool procfile_number(const char *text, const char *key, uint64_t *out)
{
    const char *at = strstr(text, key);
    return at && sscanf(at + strlen(key), "%" SCNu64, out) == 1;
}
