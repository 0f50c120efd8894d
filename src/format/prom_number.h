/* prom_number: the lines of series of which each is one number. Floor 3.
 *
 * Counters and most gauges: what a page is mostly made of, so that every nanosecond of a line
 * counts. */
#ifndef MCPTALLY_FORMAT_PROM_NUMBER_H
#define MCPTALLY_FORMAT_PROM_NUMBER_H

#include "format/prom_family.h"

/* The lines of the n series of a run, n above 0, behind the head where *headed is false, which is
 * true then. Ends with the series that reaches the share, of which `bytes` is here where the text
 * is to end; how many series it came past. */
unsigned prom_number_show(const struct prom_family *f, const struct number_view *s, unsigned n,
                          bool *headed, struct buf *to, struct prom_share *left);

#endif
