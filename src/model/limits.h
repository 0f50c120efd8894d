/* limits: the sizes that peers and files may not exceed. Floor 1.
 * Each is part of the protocol (man/mcptally-protocol.7, section LIMITS). */
#ifndef MCPTALLY_MODEL_LIMITS_H
#define MCPTALLY_MODEL_LIMITS_H

enum {
    LIMIT_FRAME = 65536,      /* payload bytes of one frame */
    LIMIT_NAME = 255,         /* bytes of a metric, event, span or component name */
    LIMIT_KEY = 128,          /* bytes of a label or attribute key */
    LIMIT_LABEL_VALUE = 256,  /* bytes of a label value; longer ones are cut at a character */
    LIMIT_TEXT = 4096,        /* bytes of an attribute value or status message */
    LIMIT_BODY = 16384,       /* bytes of a log body */
    LIMIT_HELP = 512,         /* bytes of a help text */
    LIMIT_UNIT = 63,          /* bytes of a unit */
    LIMIT_LABELS = 32,        /* labels of one series, the service's included */
    LIMIT_LABEL_BYTES = 2048, /* bytes of a whole label set in its canonical text */
    LIMIT_ATTRS = 64,         /* attributes of one item */
    LIMIT_MEASURES = 32,      /* measurements of one event */
    LIMIT_BOUNDS = 64,        /* explicit bounds of a histogram */
    LIMIT_SPAN_EVENTS = 32,   /* events of one span; likewise its links */
    LIMIT_SERVICE = 127,      /* bytes of a service, instance or domain name */
    LIMIT_CORRELATION = 128,  /* bytes of a correlation id */
    LIMIT_TRACESTATE = 512,   /* bytes of a W3C tracestate */
    LIMIT_ITEM = 32768,       /* bytes of one span, event, log or health item */
};

#endif
