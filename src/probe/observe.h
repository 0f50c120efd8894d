/* observe: what the processes of producers use. Floor 4.
 *
 * A producer's process is known by its socket (SO_PEERCRED). A round of calls names those
 * that are there; a few are read each time. Where /proc hides other users' processes
 * (ProtectProc=invisible) they are counted as hidden, and nothing else is known. */
#ifndef MCPTALLY_PROBE_OBSERVE_H
#define MCPTALLY_PROBE_OBSERVE_H

#include "format/json.h"
#include "pipeline/own.h"

struct observed;

/* NULL when memory is out. */
struct observed *observed_new(struct own *own);
void observed_free(struct observed *o);

/* One round, about once a second: begin with the most processes that are looked at, say who is
 * there, and end, which reads and commits. */
void observed_begin(struct observed *o, unsigned most);
void observed_see(struct observed *o, uint32_t pid, struct str service);
void observed_end(struct observed *o, struct when now);

/* The members "processes" and "processes_hidden" of the object in hand. */
void observed_put(const struct observed *o, struct json_writer *j);

#endif
