/* herd: many producers that want to be attached, as separate connections of one process.
 *
 *     herd SOCKET COUNT NAME
 *
 * Each greets and is welcomed. A line of JSON says when all are: first at the start, and again
 * each time that the daemon has died and all have come back to the next. Ends with its stdin.
 * The services NAME-N are many, so that the failure domains are filled evenly. */
#include <poll.h>

#include "../bench/talk.h"

enum { SERVICES = 500 };

struct herd {
    const char *path, *name;
    size_t count;
    struct talk *all;
};

static bool send_hello(struct herd *h, size_t i)
{
    char service[64];
    const int n = snprintf(service, sizeof service, "%s-%zu", h->name, i % SERVICES);
    struct hello hello = {
        .version = PROTO_VERSION,
        .capabilities = HELLO_WANTS_ACK,
        .first = 1,
        .next = 1,
        .service = {service, (size_t)n},
        .agent = STR("herd"),
    };
    const uint64_t id[2] = {i + 1, (uint64_t)getpid()};
    struct buf out;
    memcpy(hello.session, id, sizeof hello.session);
    buf_init(&out, 4096);
    encode_hello(&out, &hello);
    const bool sent = send(h->all[i].fd, out.p, out.n, MSG_NOSIGNAL) == (ssize_t)out.n;
    buf_fini(&out);
    return sent;
}

/* False when the daemon has gone in the middle of it. */
static bool hear_welcome(struct talk *t)
{
    uint8_t in[4096];
    struct frame f;
    struct welcome w;
    while (t->max_ids == 0) {
        const ssize_t got = recv(t->fd, in, sizeof in, 0);
        if (got <= 0)
            return false;
        const uint8_t *p = in;
        for (size_t n = (size_t)got; frame_reader_next(&t->reader, &p, &n, &f) > 0;)
            if (f.type == FRAME_WELCOME && decode_welcome(f.payload, f.size, &w) == 0)
                t->max_ids = w.max_ids;
    }
    return true;
}

static void attach(struct herd *h, size_t i)
{
    for (;;) {
        h->all[i] = (struct talk){.fd = connect_to(h->path), .next = 1};
        frame_reader_init(&h->all[i].reader);
        if (send_hello(h, i) && hear_welcome(&h->all[i]))
            return;
        talk_end(&h->all[i]);
    }
}

/* Until the daemon dies, true, or stdin ends. */
static bool graze(const struct herd *h)
{
    struct pollfd p[2] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = h->all[0].fd}};
    if (poll(p, 2, -1) < 0)
        die("poll");
    return p[0].revents == 0;
}

int main(int argc, char **argv)
{
    if (argc != 4)
        return fprintf(stderr, "usage: herd SOCKET COUNT NAME\n"), 2;
    struct herd h = {.path = argv[1], .name = argv[3], .count = strtoul(argv[2], NULL, 10)};
    h.all = calloc(h.count, sizeof *h.all);
    if (!h.all || h.count == 0)
        die("count");
    do {
        const uint64_t began = now_ns();
        for (size_t i = 0; i < h.count; i++) {
            if (h.all[i].max_ids)
                talk_end(&h.all[i]);
            attach(&h, i);
        }
        printf("{\"attached\": %zu, \"seconds\": %.3f, \"at\": %.3f}\n", h.count,
               (double)(now_ns() - began) / 1e9, (double)now_ns() / 1e9);
        fflush(stdout);
    } while (graze(&h));
    return 0;
}
