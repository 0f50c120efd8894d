/* sender: drives one transport by lines on stdin, and writes what becomes of each request.
 *
 *   send ID SIGNAL SIZE    a request of SIZE bytes, made of its id; waits until ready
 *   hex ID SIGNAL BYTES    a request of these bytes
 *   stats                  a line of transport_stats()
 *
 * Arguments are KEY=VALUE, those of struct transport_options; "name.HOST=A,B" is DNS. It ends
 * at the end of stdin, whatever is open. Each answer is a line of JSON. */
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <unistd.h>

#include "export/transport.h"
#include "fake_helper.h"

enum { QUEUE = 1024, LINE = 1 << 16, BODY = 64 << 20, HEADERS = 64 };

struct request {
    uint64_t id;
    unsigned signal;
    struct buf bytes;
};

struct sender {
    struct event_base *base;
    struct helper helper;
    struct transport *t;
    struct request queue[QUEUE];
    unsigned first, n;
    char line[LINE];
    size_t used;
    bool in_send;
};

static void print_text(const char *key, struct str text)
{
    printf(",\"%s\":\"", key);
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < 0x20 || text.p[i] == '"' || text.p[i] == '\\')
            printf("\\u%04x", (unsigned char)text.p[i]);
        else
            putchar(text.p[i]);
    putchar('"');
}

static void send_queued(struct sender *s)
{
    while (s->n > 0 && transport_ready(s->t)) {
        struct request *r = &s->queue[s->first];
        s->in_send = true;
        transport_send(s->t, r->id, r->signal, buf_str(&r->bytes));
        s->in_send = false;
        buf_fini(&r->bytes);
        s->first = (s->first + 1) % QUEUE;
        s->n--;
    }
}

static void on_done(void *arg, uint64_t id, const struct outcome *o)
{
    static const char *const kinds[] = {"ok", "retry", "refused"};
    struct sender *s = arg;
    assert(!s->in_send);
    printf("{\"id\":%" PRIu64 ",\"kind\":\"%s\",\"status\":%u,\"grpc\":%s,\"rejected\":%" PRIu64
           ",\"after\":%" PRIu64,
           id, kinds[o->kind], o->status, o->grpc ? "true" : "false", o->rejected, o->after);
    print_text("message", o->message);
    puts("}");
    fflush(stdout);
    send_queued(s);
}

static struct request *queue(struct sender *s, uint64_t id, unsigned signal)
{
    assert(s->n < QUEUE);
    struct request *r = &s->queue[(s->first + s->n++) % QUEUE];
    *r = (struct request){.id = id, .signal = signal};
    buf_init(&r->bytes, BODY);
    return r;
}

static void print_stats(struct sender *s)
{
    struct transport_stats st;
    transport_stats(s->t, &st);
    printf("{\"connected\":%s,\"connects\":%" PRIu64 ",\"requests\":%" PRIu64
           ",\"bytes_sent\":%" PRIu64 ",\"resolved\":%u,\"read\":%u",
           st.connected ? "true" : "false", st.connects, st.requests, st.bytes_sent,
           s->helper.resolved, s->helper.read);
    print_text("error", str_of(st.error));
    puts("}");
    fflush(stdout);
}

/* The bytes of a request are told by its id, so that the other end can check them. */
static void fill(struct buf *b, uint64_t id, size_t size)
{
    for (size_t i = 0; i < size; i++)
        buf_addc(b, (char)((id * 31 + i * 7 + (i >> 8)) & 0xff));
}

static void add_hex(struct buf *b, const char *hex)
{
    unsigned byte;
    for (; sscanf(hex, "%2x", &byte) == 1; hex += 2)
        buf_addc(b, (char)byte);
}

static void command(struct sender *s, const char *line)
{
    uint64_t id;
    unsigned signal;
    size_t size;
    int at = 0;
    if (sscanf(line, "send %" SCNu64 " %u %zu", &id, &signal, &size) == 3)
        fill(&queue(s, id, signal)->bytes, id, size);
    else if (sscanf(line, "hex %" SCNu64 " %u %n", &id, &signal, &at) == 2 && at)
        add_hex(&queue(s, id, signal)->bytes, line + at);
    else if (strcmp(line, "stats") == 0)
        print_stats(s);
    else
        assert(0 && "a command");
    send_queued(s);
}

static void on_stdin(evutil_socket_t fd, short what, void *arg)
{
    struct sender *s = arg;
    char *end;
    (void)what;
    const ssize_t n = read(fd, s->line + s->used, sizeof s->line - s->used);
    if (n <= 0) {
        event_base_loopbreak(s->base);
        return;
    }
    s->used += (size_t)n;
    while ((end = memchr(s->line, '\n', s->used))) {
        *end = '\0';
        command(s, s->line);
        s->used -= (size_t)(end + 1 - s->line);
        memmove(s->line, end + 1, s->used);
    }
}

static void add_name(struct sender *s, char *host)
{
    struct fake_name *name = &s->helper.names[s->helper.nnames++];
    char *at = strchr(host, '=');
    assert(at);
    *at++ = '\0';
    name->host = host;
    for (char *a = strtok(at, ","); a; a = strtok(NULL, ","))
        name->address[name->n++] = a;
}

static bool take_text(struct transport_options *o, const char *key, const char *value)
{
    const char **const to = strcmp(key, "endpoint") == 0    ? &o->endpoint[0]
                            : strcmp(key, "metrics") == 0   ? &o->endpoint[1]
                            : strcmp(key, "logs") == 0      ? &o->endpoint[2]
                            : strcmp(key, "ca_file") == 0   ? &o->ca_file
                            : strcmp(key, "cert_file") == 0 ? &o->cert_file
                            : strcmp(key, "key_file") == 0  ? &o->key_file
                                                            : NULL;
    if (to)
        *to = value;
    return to;
}

static bool take_number(struct transport_options *o, const char *key, const char *value)
{
    const uint64_t n = strtoull(value, NULL, 10), ms = n * UINT64_C(1000000);
    if (strcmp(key, "http") == 0)
        o->protocol = n ? TRANSPORT_HTTP : TRANSPORT_GRPC;
    else if (strcmp(key, "plain") == 0)
        o->plain = n;
    else if (strcmp(key, "gzip") == 0)
        o->gzip = n;
    else if (strcmp(key, "skip_verify") == 0)
        o->insecure_skip_verify = n;
    else if (strcmp(key, "concurrent") == 0)
        o->concurrent = (unsigned)n;
    else if (strcmp(key, "timeout_ms") == 0)
        o->timeout = ms;
    else if (strcmp(key, "keepalive_ms") == 0)
        o->keepalive = ms;
    else
        return false;
    return true;
}

static void take(struct sender *s, struct transport_options *o, struct transport_header *headers,
                 char *argument)
{
    if (strncmp(argument, "name.", 5) == 0) {
        add_name(s, argument + 5);
        return;
    }
    char *value = strchr(argument, '=');
    assert(value);
    *value++ = '\0';
    if (strncmp(argument, "header.", 7) == 0)
        headers[o->nheaders++] = (struct transport_header){argument + 7, value};
    else if (!take_text(o, argument, value))
        assert(take_number(o, argument, value));
}

static void run(struct sender *s)
{
    struct event *in = event_new(s->base, STDIN_FILENO, EV_READ | EV_PERSIST, on_stdin, s);
    event_add(in, NULL);
    event_base_dispatch(s->base);
    event_free(in);
    transport_free(s->t);
    event_base_loop(s->base, EVLOOP_NONBLOCK); /* what libevent has put off is let go */
    for (; s->n > 0; s->n--, s->first = (s->first + 1) % QUEUE)
        buf_fini(&s->queue[s->first].bytes);
}

int main(int argc, char **argv)
{
    static struct sender s;
    static struct transport_header headers[HEADERS];
    struct transport_options o = {
        .name = "test", .timeout = UINT64_C(10000000000), .concurrent = 4, .headers = headers};
    char why[512];
    signal(SIGPIPE, SIG_IGN); /* as the daemon has it: OpenSSL writes with write(2) */
    struct event_config *config = event_config_new();
    event_config_require_features(config, EV_FEATURE_FDS); /* stdin may be a file */
    s.base = event_base_new_with_config(config);
    event_config_free(config);
    s.helper.base = s.base;
    for (int i = 1; i < argc; i++)
        take(&s, &o, headers, argv[i]);
    for (int i = 1; i < OTLP_SIGNALS; i++)
        if (!o.endpoint[i])
            o.endpoint[i] = o.endpoint[0];
    s.t = transport_new(s.base, &s.helper, &o, on_done, &s, why, sizeof why);
    if (!s.t) {
        printf("{\"why\":\"%s\"}\n", why);
        event_base_free(s.base);
        return 1;
    }
    run(&s);
    event_base_free(s.base);
    return 0;
}
