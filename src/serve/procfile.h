/* procfile: small files of /proc and /sys/fs/cgroup. Floor 4. */
#ifndef MCPTALLY_SERVE_PROCFILE_H
#define MCPTALLY_SERVE_PROCFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads up to size - 1 bytes and adds a NUL; false when nothing can be read. */
bool procfile_read(const char *path, char *to, size_t size);

/* The number after `key` ("MemTotal:") in such a text. */
bool procfile_number(const char *text, const char *key, uint64_t *out);

#endif
