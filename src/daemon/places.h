/* places: the directories that are fixed when the daemon is built. Floor 5.
 *
 * A file of its own, so that an installation elsewhere compiles only it anew (see DAEMON in the
 * Makefile). */
#ifndef MCPTALLY_DAEMON_PLACES_H
#define MCPTALLY_DAEMON_PLACES_H

/* The configuration that is read when none is named: where `make install` puts the sample. */
extern const char places_config[];

#endif
