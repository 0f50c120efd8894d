/* session: what the store remembers of each producer. Floor 2. For the writer,
 * inside the open batch. */
#ifndef MCPTALLY_STORE_SESSION_H
#define MCPTALLY_STORE_SESSION_H

#include "base/str.h"
#include "store/series.h"

struct session_ask {
    const uint8_t *id; /* 16 bytes */
    uint32_t uid;
    unsigned domain;
    struct str service, instance, agent;
    uint64_t applied; /* sequence number to go on from */
    struct when now;
};

/* The session with this id, whatever its user; 0: none. */
uint32_t session_find(const struct store *st, const uint8_t id[16]);

/* A new one; when the table is full the one that ended longest ago makes room,
 * one of the same domain before any other.
 * 0 when all are connected, or the heap is full. */
uint32_t session_make(struct store *st, const struct session_ask *ask);

/* Forgets it; its gauge contributions stop counting. */
void session_forget(struct store *st, uint32_t session);

/* Its connection came (at 0) or ended (at: mono ns). */
void session_set_ended(struct store *st, uint32_t session, uint64_t at);
void session_set_silent(struct store *st, uint32_t session);

/* It said BYE while another connection of it was being read; HELLO takes that back. */
void session_set_leaving(struct store *st, uint32_t session);
bool session_is_leaving(const struct store *st, uint32_t session);

static inline struct session_rec *session_at(const struct store *st, uint32_t session)
{
    return (struct session_rec *)(void *)store_word(st, st->head->section[SECTION_SESSIONS].offset +
                                                            session * sizeof(struct session_rec));
}

#endif
