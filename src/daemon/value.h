/* value: the texts of configuration values, and back. Floor 5.
 *
 * Each parser takes the whole text or none of it: true and the value, or false
 * and nothing changed. */
#ifndef MCPTALLY_DAEMON_VALUE_H
#define MCPTALLY_DAEMON_VALUE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

bool value_bool(const char *text, bool *out);         /* true false yes no on off */
bool value_count(const char *text, uint64_t *out);    /* decimal */
bool value_size(const char *text, uint64_t *out);     /* bytes: 10, 10B, 10KiB, 10MiB, 10GiB */
bool value_duration(const char *text, uint64_t *out); /* ns: 0, 10ms, 10s, 10m, 10h, 10d */
bool value_ratio(const char *text, double *out);      /* 0 to 1: 85%, 0.85 */
bool value_mode(const char *text, uint64_t *out);     /* octal, at most 07777 */
bool value_level(const char *text, uint64_t *out);    /* enum log_level */
bool value_metrics(const char *text, uint64_t *out);  /* enum config_metrics */
bool value_format(const char *text, uint64_t *out);   /* enum log_format */
bool value_f64(const char *text, double *out);        /* a finite decimal number */
bool value_off(const char *text);                     /* an address that says not to listen */

/* Appends the largest unit that shows the value whole: "64MiB", "30s". */
void value_print_size(struct buf *to, uint64_t bytes);
void value_print_duration(struct buf *to, uint64_t ns);

#endif
