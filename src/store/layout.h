/* layout: where everything lies in the shared segment. Floor 2.
 *
 * Offsets from the segment's start, never pointers; every field that is
 * committed state is an aligned 64-bit word and changes through store_set()
 * alone (commit.h). A change here is a new STORE_VERSION, a walk from the one
 * before (migrate.c) and a store file of the old version in tests/. */
#ifndef MCPTALLY_STORE_LAYOUT_H
#define MCPTALLY_STORE_LAYOUT_H

#include <stdint.h>

#include "model/limits.h"

#define STORE_MAGIC UINT64_C(0x796c6c617470636d) /* "mcptally" */

enum { STORE_VERSION = 4 };

enum store_section {
    SECTION_UNDO,     /* struct undo_entry */
    SECTION_METRICS,  /* struct metric_rec */
    SECTION_SERIES,   /* struct series_rec */
    SECTION_SESSIONS, /* struct session_rec */
    SECTION_PARTS,    /* struct part_rec: the components that report health */
    SECTION_BUCKETS_METRICS,
    SECTION_BUCKETS_SERIES, /* u64 words of the hash indexes */
    SECTION_BUCKETS_SESSIONS,
    SECTION_BUCKETS_PARTS,
    SECTION_HEAP,    /* cells, label sets, texts, sketch pages */
    SECTION_EVENTS,  /* ring of events, logs and health reports */
    SECTION_SPANS,   /* ring of spans */
    SECTION_POINTS,  /* ring of OTLP metric items, kept for forwarding */
    SECTION_STREAMS, /* struct stream_rec */
    SECTION_BUCKETS_STREAMS,
    SECTION_DOMAINS, /* struct domain_rec, one a domain, by its number */
    SECTION_MAX
};

enum store_table_id {
    TABLE_METRICS,
    TABLE_SERIES,
    TABLE_SESSIONS,
    TABLE_PARTS,
    TABLE_STREAMS,
    TABLE_MAX
};
enum store_ring_id { RING_EVENTS, RING_SPANS, RING_POINTS, RING_MAX };

/* Rows that the head has space for, so that another section, table or ring
 * moves nothing. */
enum { SECTION_ROOM = 24, TABLE_ROOM = 8, RING_ROOM = 4 };

/* Who reads the rings: rows with a name in the head. Health reads events; the
 * others are given out by consumer_claim() and read what consumer_follow() says. */
enum store_consumer {
    CONSUMER_HEALTH = 0,
    CONSUMER_EXPORT = 1, /* the first of those */
    CONSUMER_MAX = 9,
    CONSUMER_ROOM = 16, /* rows that the layout has space for */
};

_Static_assert(CONSUMER_ROOM *RING_ROOM <= 64, "the bits of a word");
#define UNREAD(row, ring) (UINT64_C(1) << ((unsigned)(row)*RING_ROOM + (unsigned)(ring)))

enum { CONSUMER_NAME = 32, TIERS = 4, STREAM_PARTS = 8, STORE_SPARE = 5 };

struct section_place {
    uint64_t offset, size; /* bytes */
};

struct undo_entry {
    uint64_t offset, old;
};

/* A table of fixed-size records with a linear hash index over them. Record 0
 * is never used, so index 0 means none. */
struct table_head {
    uint64_t used;    /* records handed out so far, 0's included */
    uint64_t free;    /* first free record, by its link */
    uint64_t limbo;   /* freed in the newest batch that freed any: reusable from the next */
    uint64_t live;    /* records in use */
    uint64_t buckets; /* of the linear hash; 0 before the first insert */
};

struct ring_consumer_head {
    uint64_t cursor;  /* position read up to */
    uint64_t read;    /* records read */
    uint64_t overrun; /* records lost to being slow */
    uint64_t delivered, filtered, failed;
    uint64_t begun; /* sequence number of the newest record when the consumer began */
};

struct ring_head {
    uint64_t tail, head;         /* positions: bytes since the store began */
    uint64_t tail_seq, head_seq; /* records removed, records appended */
    struct ring_consumer_head consumer[CONSUMER_ROOM];
};

enum { HEAP_CLASSES = 96, START_SLOTS = 16 };

/* The first 64 KiB. Up to static_sum the words are written once. */
struct store_head {
    uint64_t magic;
    uint64_t version;
    uint64_t layout_hash; /* of the record sizes and section count */
    uint64_t size;        /* of the segment, bytes */
    uint64_t boot_id[2];
    uint64_t store_id; /* random, never 0; every producer is told it */
    uint64_t created;  /* ns since 1970 */
    struct section_place section[SECTION_ROOM];
    uint64_t static_sum; /* hash of everything above */

    /* Not part of any batch: plain words of the running daemon. */
    uint64_t clean;                 /* 1 after an orderly stop */
    uint64_t superseded;            /* 1: replaced; readers open the path anew */
    uint64_t pid;                   /* of the daemon that has it */
    uint64_t starts;                /* how often a daemon attached */
    uint64_t start_at[START_SLOTS]; /* when, mono ns, by starts % START_SLOTS */
    uint64_t domain_in_hand;        /* domain + 1 whose input is being applied, 0 for none */
    uint64_t rollbacks;             /* open batches that an attach rolled back */

    /* batch number << 24 | undo entries of the open batch. Writing it commits. */
    _Alignas(64) uint64_t commit;

    /* Committed words, changed by store_set() only. */
    _Alignas(64) struct table_head table[TABLE_ROOM];
    uint64_t heap_used; /* bytes handed out so far */
    uint64_t heap_free[HEAP_CLASSES], heap_limbo[HEAP_CLASSES];
    uint64_t heap_live; /* bytes in use */
    struct ring_head ring[RING_ROOM];
    uint64_t epoch;                                      /* of the idle clock; begins at 1 */
    uint64_t consumer[CONSUMER_ROOM][CONSUMER_NAME / 8]; /* names, zeros behind; [0] 0: free */
    uint64_t
        tier_rate[TIERS]; /* sampling rates set at run time: bits of a double + 1; 0: not set */
    uint64_t stream_horizon[STREAM_PARTS]; /* newest start of expired streams: STREAM_PART() */
    uint64_t unread;             /* rings that rows do not read: bit row * RING_ROOM + ring */
    uint64_t run, run_end;       /* of the heap: single words that are handed out next */
    uint64_t spare[STORE_SPARE]; /* 0 until something needs one: no new version for that */

    /* Written once. Seed of the hash indexes, which no producer may know: it could
     * choose names that all fall into one chain. */
    uint64_t secret;
};

enum { STORE_HEAD_SIZE = 65536 };

struct record_head {
    uint64_t link; /* next record of the hash chain, or of the free list */
    uint64_t hash;
};

struct metric_rec {
    struct record_head head; /* hash of the family name */
    uint64_t def;            /* heap: struct metric_text */
    uint64_t traits;         /* kind | type<<8 | join<<16 | flags<<24 | nbounds<<32 */
    uint64_t first, last;    /* series, in order of creation */
    uint64_t own;            /* METRIC_OWN | domain + 1 of who defined it<<8; 0: nobody's */
    uint64_t nseries;        /* live ones */
};

enum { METRIC_OWN = 1, METRIC_DOMAIN_SHIFT = 8 }; /* declared by the daemon; producers may not */

/* Flags of a series. */
enum {
    SERIES_LIVE = 1,     /* shown; else it is dormant: idle, but a connection still holds its id */
    SERIES_PINNED = 2,   /* the daemon's own: never expires */
    SERIES_OVERFLOW = 4, /* takes what is above the cardinality limit */
    SERIES_GROUP = 8,    /* no series: counts those of one (metric, domain, service) */
    SERIES_COUNTED = 16, /* in the budget of its domain */
};

struct series_rec {
    struct record_head head; /* hash of (metric, label set) */
    uint64_t metric;         /* index | domain<<32 | flags<<48 */
    uint64_t labels;         /* heap: struct text_blob, the canonical label text */
    uint64_t cells;          /* heap: see cells.h; of a group how many live series it counts */
    uint64_t created;        /* ns since 1970 */
    uint64_t links;          /* series of the same metric: next | previous<<32; of a group how many
                                series point to it */
    uint64_t state;          /* series index of its group | epoch of the newest update<<32, 0:
                                it is dormant */
};

enum { SERIES_HIGH_SHIFT = 32 }; /* of links and state */

struct session_rec {
    struct record_head head; /* hash of the id */
    uint64_t id[2];
    uint64_t who;     /* uid | domain<<32 | flags<<48 */
    uint64_t applied; /* highest applied sequence number of stream 0 */
    uint64_t ended;   /* mono ns when its connection ended; 0 while it is connected */
    uint64_t names;   /* heap: struct text_blob: service NUL instance NUL agent */
    uint64_t serial;  /* distinguishes reuses of the record */
    uint64_t items;   /* applied items */
    uint64_t lost[4]; /* running totals as last reported, by enum lost_reason */
    uint64_t since;   /* ns since 1970 */
    uint64_t rings;   /* heap: struct ring_mark, a list */
};

/* A component whose health is watched. */
struct part_rec {
    struct record_head head; /* hash of (service, component) */
    uint64_t names;          /* heap: struct text_blob: service NUL component */
    uint64_t message;        /* heap: struct text_blob, or 0 */
    uint64_t state;    /* shown state | reported state<<8 | failures in a row<<16 | domain<<32 |
                          reports missed<<48 | enum part_phase<<56. Domain STORE_DOMAINS: an
                          active check, whose good results in a row stand where others have
                          their reports missed */
    uint64_t reported; /* mono ns of the newest report */
    uint64_t changed;  /* mono ns when the phase last changed */
    uint64_t reports;  /* count */
};

/* One sender's view of a series: the newest cumulative value of its points. */
struct stream_rec {
    struct record_head head; /* hash: the first word of the stream's, never 0 */
    uint64_t hash[2];
    uint64_t what;        /* series index | domain<<32 | values<<48 */
    uint64_t values;      /* heap: that many words */
    uint64_t touched;     /* epoch when it was last found */
    uint64_t start, time; /* ns since 1970: of the newest point */
};

/* Failure domains that a store has records of. */
enum { STORE_DOMAINS = 64 };

/* Time that a domain was available, in buckets: of a minute for the newest hour, of an
 * hour for the newest day, of a day for the newest 30; one more each for the one in hand. */
enum {
    AVAILABLE_HOUR = 61,
    AVAILABLE_DAY = 25,
    AVAILABLE_MONTH = 31,
    AVAILABLE_BUCKETS = AVAILABLE_HOUR + AVAILABLE_DAY + AVAILABLE_MONTH
};

/* What outlives the daemon of a failure domain. 0 all over: nothing has happened. */
struct domain_rec {
    uint64_t state; /* enum domain_state | enum domain_cause<<8 | DOMAIN_DRAINED<<16 | tries<<32 */
    uint64_t changed;                      /* mono ns of the breaker's last move */
    uint64_t opened;                       /* mono ns when it left closed; 0: it is closed */
    uint64_t recovery;                     /* ns from open to closed, the last time; 0: never yet */
    uint64_t crashes;                      /* daemons in a row that died with its input in hand */
    uint64_t crashed;                      /* mono ns when the newest was found */
    uint64_t begun;                        /* mono ns from which availability counts; 0: not yet */
    uint64_t settled;                      /* mono ns up to which it is counted */
    uint64_t trips, returns, deaths;       /* since the store began: it opened; it came back into
                                              service; daemons died with its input in hand */
    uint64_t available[AVAILABLE_BUCKETS]; /* ns, by number of the period modulo the buckets */
};

enum { DOMAIN_CAUSE_SHIFT = 8, DOMAIN_FLAGS_SHIFT = 16, DOMAIN_TRIES_SHIFT = 32 };
enum { DOMAIN_DRAINED = 1 }; /* somebody has asked for it to be emptied and kept so */

/* Variable-size text in the heap. The first word is also the free-list link. */
struct text_blob {
    uint64_t size; /* bytes of text | of a label text: place of its keys in words<<32, 0: none.
                      Of keys: | how many label texts have them<<32 */
    char text[];
};

#define TEXT_BYTES(size) ((size)&UINT64_C(0xffffffff))

/* A metric's definition in the heap; the texts follow the bounds. */
struct metric_text {
    uint64_t sizes;  /* name | family<<16 | unit<<32 | help<<48, bytes each */
    double bounds[]; /* nbounds of them, then the four texts */
};

/* A record of a ring: this head, the service name, the body as on the wire,
 * zeros to a multiple of 8. kind 0 pads to the end of the ring. */
struct ring_record {
    uint64_t seq;    /* 1 for the first record ever */
    uint32_t size;   /* of the whole record, a multiple of 8 */
    uint8_t kind;    /* enum event_kind */
    uint8_t service; /* bytes of the service name */
    uint16_t domain;
    uint32_t body;     /* bytes of the body */
    uint32_t session;  /* session index, as a hint */
    uint64_t received; /* ns since 1970 */
};

#endif
