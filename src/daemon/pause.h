/* pause: between a start that has failed and the next one. Floor 5.
 *
 * systemd starts us again at once and for ever. The ladder brakes what dies with a store; but
 * what the system does not give may be wanting long before, while the configuration is read,
 * and then each start would be over in a millisecond and use up a processor. So a process that
 * ends for such a reason lasts a while; so does one that crashes, as long as no store says how
 * often it did. */
#ifndef MCPTALLY_DAEMON_PAUSE_H
#define MCPTALLY_DAEMON_PAUSE_H

/* Takes what a start ended with, an enum daemon_exit, and returns what to exit with. Waits a
 * second when that is DAEMON_FAILED and systemd has started us; a signal to stop ends the wait
 * at once, and is DAEMON_OK. No other signal does. */
int pause_failed(int status);

/* From here on a signal that tells of a fault of ours (SIGSEGV, SIGABRT and their like) ends the
 * process a second later than it would, when systemd has started us; SIGTERM and SIGINT end it
 * at once, as they do before there is a loop. Not SIGKILL, which nobody can delay. */
void pause_crashes(void);

/* No longer: a crash is not to become a gap. */
void pause_no_crashes(void);

#endif
