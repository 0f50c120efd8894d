/* A producer's connection and its shared rings, applied to a store. The first byte says whether
 * HELLO is there already, in which pieces the rest comes, and whether rings are read where they
 * lie before they are copied; the second how much of it is words of rings, which are read
 * whenever the bell rings. Then the same once more, after the daemon was killed. The ledger
 * balances, the store is whole, and the answers are frames. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "pipeline/link.h"
#include "pipeline/link_ring.h"
#include "store/read.h"
#include "store/session_ring.h"
#include "wire/decode.h"
#include "wire/encode.h"
#include "lives.h"

enum { RINGS = 2, WORDS = 4096, BELLS = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct peer peer = {.uid = 1000, .pid = 1};

struct line {
    struct link link;
    struct link_ring rings[RINGS];
    unsigned nrings, bells;
    const uint8_t *words; /* of all rings; not aligned */
    size_t bytes;
    struct buf out;
    bool in_place, broken;
};

/* ---- rings ---- */

static struct line *line_of(struct link *l)
{
    return (struct line *)(void *)l; /* its first member */
}

static int offered(void *arg, struct link *l, const struct ring_offer *o)
{
    struct line *line = line_of(l);
    (void)arg;
    if (o->words == 0 || line->nrings == RINGS)
        return -ERR_SYNTAX;
    struct link_ring *r = &line->rings[line->nrings];
    *r = (struct link_ring){.stream = o->stream};
    for (unsigned i = 0; i < line->nrings; i++)
        if (line->rings[i].stream == o->stream)
            return -ERR_SYNTAX;
    line->nrings += link_ring_open(l, o, r) == 0;
    return 0;
}

static void read_ring(struct line *line, const struct link_ring *r)
{
    static uint32_t words[WORDS];
    const uint32_t n = (uint32_t)(line->bytes / 4 < WORDS ? line->bytes / 4 : WORDS);
    const uint64_t before = link_ring_position(&line->link, r);
    uint32_t added = 0, taken = 0;
    if (n == 0)
        return;
    memcpy(words, line->words, n * sizeof *words);
    if (line->in_place)
        added = link_ring_add(&line->link, r, words, n, now);
    const enum link_ring_end end = link_ring_feed(&line->link, r, words + added, n - added,
                                                  line->bells % 2, &taken, &line->out, now);
    taken += added;
    assert(taken <= n && link_ring_position(&line->link, r) == before + taken);
    line->words += taken * sizeof *words;
    line->bytes -= taken * sizeof *words;
    line->broken |= end == LINK_RING_BROKEN;
}

static void on_bell(void *arg, struct link *l, uint64_t token)
{
    struct line *line = line_of(l);
    (void)arg;
    (void)token;
    for (unsigned i = 0; i < line->nrings && line->bells < BELLS && !line->broken; i++) {
        line->bells++;
        read_ring(line, &line->rings[i]);
    }
}

/* ---- the socket ---- */

static void check_answers(struct buf *out)
{
    struct frame_reader reader;
    struct frame f;
    const uint8_t *p = (const uint8_t *)out->p;
    size_t n = out->n;
    assert(!out->failed);
    frame_reader_init(&reader);
    while (frame_reader_next(&reader, &p, &n, &f) > 0)
        assert(f.type >= FRAME_WELCOME && f.type <= FRAME_BELL);
    assert(n == 0 && frame_reader_missing(&reader) == 0);
    frame_reader_fini(&reader);
    buf_reset(out);
}

/* False when the connection is over. */
static bool feed(struct line *line, const uint8_t *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1); /* exactly as large, so that a sanitizer sees its end */
    assert(copy);
    if (n)
        memcpy(copy, p, n);
    int r = link_feed(&line->link, copy, n, &line->out, now);
    free(copy);
    while (r == LINK_MORE) {
        assert(line->link.pl->st->undo_used == 0);
        r = link_go_on(&line->link, &line->out, now);
    }
    assert(r == 0 || r == -ERR_CLOSED);
    link_ack(&line->link, &line->out);
    check_answers(&line->out);
    return r == 0 && !line->broken;
}

static bool greet(struct line *line)
{
    const struct hello h = {.session = {1},
                            .version = PROTO_VERSION,
                            .service = STR("s"),
                            .capabilities = HELLO_WANTS_ACK | HELLO_WANTS_RINGS,
                            .first = 1,
                            .next = 1};
    struct buf in;
    buf_init(&in, 4096);
    encode_hello(&in, &h);
    const bool open = feed(line, (const uint8_t *)in.p, in.n);
    buf_fini(&in);
    return open;
}

static void talk(struct line *line, const uint8_t *data, size_t size)
{
    static const size_t pieces[] = {SIZE, 1, 13, 100};
    const size_t piece = pieces[data[0] >> 1 & 3];
    const size_t ring = (size - 2) * data[1] / 255, n = size - 2 - ring;
    line->words = data + 2 + n;
    line->bytes = ring;
    line->in_place = data[0] & 16;
    bool open = !(data[0] & 1) || greet(line);
    for (size_t i = 0; open && i < n; i += piece)
        open = feed(line, data + 2 + i, n - i < piece ? n - i : piece);
    for (unsigned i = 0; open && data[0] & 8 && i < line->nrings; i++)
        link_ring_torn(&line->link, &line->rings[i]);
}

/* ---- what must hold ---- */

static void apply_all(struct pipeline *pl, void *arg)
{
    static const struct ring_edge edge = {offered, on_bell, NULL};
    const struct str *input = arg;
    struct line line = {0};
    buf_init(&line.out, 4 << 20);
    link_init(&line.link, pl, &peer);
    pl->rings = &edge;
    talk(&line, (const uint8_t *)input->p, input->n);
    assert(pl->st->undo_used == 0);
    check_ledger(pl);
    link_fini(&line.link, now);
    check_ledger(pl);
    buf_fini(&line.out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t *mem;
    struct str input = {(const char *)data, size};
    struct pipeline_options o;
    if (size < 2)
        return 0;
    if (!mem)
        mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert(mem != MAP_FAILED && madvise(mem, SIZE, MADV_DONTNEED) == 0);
    pipeline_defaults(&o);
    o.domains = 2;
    live(mem, &o, apply_all, &input);
    return 0;
}
