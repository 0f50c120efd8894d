/* recording: a conversation in a file, to be looked at and replayed.
 *
 * JSON lines. The first is {"mcptally":"recording","version":1,"service":NAME,
 * "began":NS}, ns since 1970. Each other begins with "us", microseconds since
 * then, and is one of
 *     {"us":N,"from":WHO,"text":BYTES}     or "base64" where they are not UTF-8
 *     {"us":N,"from":WHO,"lost":N}         bytes that the observer missed
 *     {"us":N,"from":WHO,"end":true}       the stream has ended
 *     {"us":N,"exit":CODE} or {"us":N,"signal":NUMBER}
 * WHO is "client", "server" or "stderr". A line of the conversation is a line of
 * the file, unless it is longer than a chunk of the relay. */
#ifndef MCPTALLY_CLI_RECORDING_H
#define MCPTALLY_CLI_RECORDING_H

#include <stdbool.h>
#include <stdio.h>

#include "base/buf.h"
#include "cli/tee.h"

/* ---- writing ---- */

struct recording {
    int fd;         /* -1: not recording */
    uint64_t began; /* mono ns */
    struct buf out;
    struct {
        unsigned n;
        char bytes[4];
    } carry[TEE_STREAMS]; /* the first part of a character */
};

/* Opens the file, new or emptied, mode 0600: its descriptor, or -1 with errno. */
int recording_open(const char *path);

/* Takes fd, -1 for none. An observer that was started again goes on behind what
 * is there. */
void recording_begin(struct recording *r, int fd, const char *service, struct when now);

void recording_data(struct recording *r, enum tee_stream s, const char *p, size_t n,
                    struct when now);
void recording_lost(struct recording *r, enum tee_stream s, uint64_t n, struct when now);
void recording_eof(struct recording *r, enum tee_stream s, struct when now);
void recording_exit(struct recording *r, int status, struct when now);

/* Writes what has gathered. False, once, when the file cannot be written: the
 * recording ends there. */
bool recording_flush(struct recording *r);
bool recording_end(struct recording *r);

/* ---- reading ---- */

enum recorded_kind { RECORDED_DATA, RECORDED_LOST, RECORDED_EOF, RECORDED_EXIT };

struct recorded {
    enum recorded_kind kind;
    enum tee_stream stream;
    uint64_t time; /* ns since the beginning */
    struct buf bytes;
    uint64_t lost;
    int status; /* as wait() gives it */
};

struct recording_reader {
    FILE *file;
    unsigned line;
    char *text; /* of the line in hand */
    size_t size;
    char service[128];
    char why[200]; /* what was wrong with the last line read */
};

/* Reads the first line. 0, -ERR_IO with errno, or -ERR_SYNTAX with why[]. */
int recording_read_open(struct recording_reader *r, const char *path);
void recording_read_close(struct recording_reader *r);

/* Returns 1 and the next entry, 0 at the end, -ERR_SYNTAX, -ERR_IO. The bytes
 * stay until the next call; the caller ends with recorded_fini(). */
int recording_read(struct recording_reader *r, struct recorded *out);
void recorded_init(struct recorded *e);
void recorded_fini(struct recorded *e);

#endif
