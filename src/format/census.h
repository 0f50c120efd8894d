/* census: how many producer sessions there are, by service. Floor 3. */
#ifndef MCPTALLY_FORMAT_CENSUS_H
#define MCPTALLY_FORMAT_CENSUS_H

#include "format/json.h"
#include "store/read.h"

enum { CENSUS_SERVICES = 64, CENSUS_SLOTS = 256 };

struct census_row {
    struct str service; /* points into the store */
    uint64_t connected, kept;
};

struct census {
    struct census_row all, others; /* others: services beyond CENSUS_SERVICES */
    unsigned n;
    struct census_row rows[CENSUS_SERVICES];
    uint8_t slots[CENSUS_SLOTS]; /* hash table: row + 1 */
};

/* Counts every session of the store, 0.1 us each. */
void census_take(const struct store *st, struct census *out);

/* {"connected":..,"kept":..,"services":[{"service":..,"connected":..,"kept":..}]} */
void census_put(struct json_writer *j, const char *key, const struct census *c);

#endif
