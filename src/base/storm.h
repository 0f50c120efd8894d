/* storm: so many lines of one kind in a window of time, and a count of the rest. Floor 0.
 *
 * Without it whatever fails in a loop fills the disk with one line. A kind is who says it
 * and its format. Its window begins with its first line; the first lines of it pass, the
 * others are held back, and when it is over whoever asks is told how many they were. */
#ifndef MCPTALLY_BASE_STORM_H
#define MCPTALLY_BASE_STORM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"

enum {
    STORM_KINDS = 64, /* in their window at one time; one more takes the place of the oldest */
    STORM_LAST = 160, /* bytes of the newest line that was held back, and a NUL */
};

struct storm_kind {
    const char *component, *fmt; /* NULL: nobody's */
    uint64_t began;              /* mono ns */
    unsigned passed;
    uint64_t held;
    enum log_level level; /* the worst of what was held back */
    char last[STORM_LAST];
};

struct storm {
    unsigned burst;  /* lines that pass; 0: all */
    uint64_t window; /* ns */
    struct storm_kind kinds[STORM_KINDS];
};

/* Whether a line may pass. `lost` is filled with a kind that had to make room and had
 * held lines back; its held is 0 when there was none. */
bool storm_admit(struct storm *s, const struct log_line *line, uint64_t now,
                 struct storm_kind *lost);

/* The next kind whose window is over and that held something back, to be told of; it is
 * forgotten then. False: no further one. */
bool storm_over(struct storm *s, uint64_t now, struct storm_kind *out);

#endif
