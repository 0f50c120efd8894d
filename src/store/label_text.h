/* label_text: the label texts of series, and their keys as they came, which the series of a
 * metric mostly have in common. Floor 2. For the writer, inside the open batch. */
#ifndef MCPTALLY_STORE_LABEL_TEXT_H
#define MCPTALLY_STORE_LABEL_TEXT_H

#include "store/space.h"

/* A text, and its keys when they differ from those in it (else they are empty); without them
 * when there is no room. They are shared with the newest series of the metric, `newest`, and
 * those before it. 0: the heap is full. */
uint64_t label_text_new(struct store *st, uint32_t newest, struct str labels, struct str keys);
void label_text_free(struct store *st, uint64_t at);

/* The text without its keys. */
struct str label_text(const struct store *st, uint64_t at);

/* Where its keys lie, 0: it has none but those in it; and how many label texts have these. */
uint64_t label_text_keys(const struct store *st, uint64_t at);
uint64_t label_text_users(const struct store *st, uint64_t keys);

/* What it takes of the heap, as if its keys were its own: who has none in common with his
 * others is not to have more than his budget. */
uint64_t label_text_bytes(const struct store *st, uint64_t at);

#endif
