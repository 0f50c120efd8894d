#include "cli/recording.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "model/text.h"

enum { OUT_MAX = 1 << 20, FLUSH_AT = 65536 };

static const char *const streams[TEE_STREAMS] = {
    [TEE_UP] = "client", [TEE_DOWN] = "server", [TEE_STDERR] = "stderr"};

int recording_open(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd >= 0 && fchmod(fd, 0600) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static void add_escaped(struct buf *to, struct str s)
{
    static const char hex[] = "0123456789abcdef";
    buf_addc(to, '"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\') {
            buf_addc(to, '\\');
            buf_addc(to, (char)c);
        } else if (c == '\n') {
            buf_adds(to, "\\n");
        } else if (c < ' ' || c == 0x7F) {
            buf_adds(to, "\\u00");
            buf_addc(to, hex[c >> 4]);
            buf_addc(to, hex[c & 15]);
        } else {
            buf_addc(to, (char)c);
        }
    }
    buf_addc(to, '"');
}

static void add_base64(struct buf *to, const unsigned char *p, size_t n)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    buf_addc(to, '"');
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (left > 2 ? p[i + 2] : 0);
        buf_addc(to, digits[v >> 18]);
        buf_addc(to, digits[v >> 12 & 63]);
        buf_addc(to, left > 1 ? digits[v >> 6 & 63] : '=');
        buf_addc(to, left > 2 ? digits[v & 63] : '=');
    }
    buf_addc(to, '"');
}

/* The first line, and where an earlier observer began: its own first line. */
static uint64_t read_began(int fd)
{
    char line[512];
    uint64_t began = 0;
    ssize_t n = pread(fd, line, sizeof line - 1, 0);
    if (n <= 0)
        return 0;
    line[n] = 0;
    char *at = strstr(line, "\"began\":");
    return at && sscanf(at, "\"began\":%" SCNu64, &began) == 1 ? began : 0;
}

void recording_begin(struct recording *r, int fd, const char *service, struct when now)
{
    *r = (struct recording){.fd = fd, .began = now.mono};
    buf_init(&r->out, OUT_MAX);
    if (fd < 0)
        return;
    uint64_t began = read_began(fd);
    if (began) {
        r->began = now.mono - (now.wall > began ? now.wall - began : 0);
        return;
    }
    buf_adds(&r->out, "{\"mcptally\":\"recording\",\"version\":1,\"service\":");
    add_escaped(&r->out, str_of(service));
    buf_addf(&r->out, ",\"began\":%" PRIu64 "}\n", now.wall);
}

static void add_time(struct recording *r, struct when now)
{
    uint64_t ns = now.mono > r->began ? now.mono - r->began : 0;
    buf_addf(&r->out, "{\"us\":%" PRIu64, ns / NS_PER_US);
}

static void add_from(struct recording *r, enum tee_stream s, struct when now)
{
    add_time(r, now);
    buf_addf(&r->out, ",\"from\":\"%s\",", streams[s]);
}

static void add_bytes(struct recording *r, enum tee_stream s, const char *p, size_t n,
                      struct when now)
{
    bool text = text_utf8((struct str){p, n});
    add_from(r, s, now);
    buf_adds(&r->out, text ? "\"text\":" : "\"base64\":");
    if (text)
        add_escaped(&r->out, (struct str){p, n});
    else
        add_base64(&r->out, (const unsigned char *)p, n);
    buf_adds(&r->out, "}\n");
    if (r->out.n >= FLUSH_AT)
        recording_flush(r);
}

/* How many bytes at the end are the beginning of a character that goes on. */
static unsigned unfinished(const char *p, size_t n)
{
    for (unsigned back = 1; back <= 3 && back <= n; back++) {
        unsigned char c = (unsigned char)p[n - back];
        if (c >= 0xC0)
            return back < (c >= 0xF0 ? 4U : c >= 0xE0 ? 3U : 2U) ? back : 0;
        if (c < 0x80)
            return 0;
    }
    return 0;
}

/* The carried part of a character and what completes it, as a piece of its own. */
static size_t complete_character(struct recording *r, enum tee_stream s, const char *p, size_t n,
                                 struct when now)
{
    char whole[4];
    unsigned had = r->carry[s].n, need = 0;
    if (had == 0)
        return 0;
    memcpy(whole, r->carry[s].bytes, had);
    while (had + need < 4 && need < n && ((unsigned char)p[need] & 0xC0) == 0x80) {
        whole[had + need] = p[need];
        need++;
    }
    if (need == n && unfinished(whole, had + need)) {
        memcpy(r->carry[s].bytes, whole, had + need);
        r->carry[s].n = had + need;
        return need;
    }
    r->carry[s].n = 0;
    add_bytes(r, s, whole, had + need, now);
    return need;
}

void recording_data(struct recording *r, enum tee_stream s, const char *p, size_t n,
                    struct when now)
{
    if (r->fd < 0)
        return;
    size_t done = complete_character(r, s, p, n, now);
    p += done;
    n -= done;
    while (n > 0) {
        const char *newline = memchr(p, '\n', n);
        size_t size = newline ? (size_t)(newline - p) + 1 : n - unfinished(p, n);
        if (size == 0)
            break;
        add_bytes(r, s, p, size, now);
        p += size;
        n -= size;
    }
    memcpy(r->carry[s].bytes + r->carry[s].n, p, n);
    r->carry[s].n += (unsigned)n;
}

static void end_carry(struct recording *r, enum tee_stream s, struct when now)
{
    if (r->carry[s].n)
        add_bytes(r, s, r->carry[s].bytes, r->carry[s].n, now);
    r->carry[s].n = 0;
}

void recording_lost(struct recording *r, enum tee_stream s, uint64_t n, struct when now)
{
    if (r->fd < 0)
        return;
    end_carry(r, s, now);
    add_from(r, s, now);
    buf_addf(&r->out, "\"lost\":%" PRIu64 "}\n", n);
}

void recording_eof(struct recording *r, enum tee_stream s, struct when now)
{
    if (r->fd < 0)
        return;
    end_carry(r, s, now);
    add_from(r, s, now);
    buf_adds(&r->out, "\"end\":true}\n");
}

void recording_exit(struct recording *r, int status, struct when now)
{
    if (r->fd < 0)
        return;
    for (unsigned s = 0; s < TEE_STREAMS; s++)
        end_carry(r, (enum tee_stream)s, now);
    add_time(r, now);
    if (WIFSIGNALED(status))
        buf_addf(&r->out, ",\"signal\":%d}\n", WTERMSIG(status));
    else
        buf_addf(&r->out, ",\"exit\":%d}\n", WEXITSTATUS(status));
}

static bool write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t written = write(fd, p, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return false;
        p += written;
        n -= (size_t)written;
    }
    return true;
}

bool recording_flush(struct recording *r)
{
    if (r->fd < 0 || r->out.n == 0)
        return true;
    bool good = !r->out.failed && write_all(r->fd, r->out.p, r->out.n);
    buf_reset(&r->out);
    if (!good) {
        close(r->fd);
        r->fd = -1;
    }
    return good;
}

bool recording_end(struct recording *r)
{
    bool good = recording_flush(r);
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    buf_fini(&r->out);
    return good;
}
