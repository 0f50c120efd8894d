/* Metrics as they came, into the ring of points.
 *
 * A record is a Metric message with the points that passed the trust line: one that the
 * next receiver cannot read would cost it the whole request. A metric with more points
 * than a record holds becomes several. */
#include "otlp/put.h"
#include "pipeline/otlp_request.h"

enum {
    POINTS = 1,        /* number of the field, in all kinds of data */
    POINT_HEAD = 6,    /* bytes of tag and length, at most */
    RECORD_HEADS = 64, /* likewise of all that lies around the points */
};

size_t otlp_points_room(const struct otlp_request *r)
{
    const struct otlp_metric *m = &r->hand.m;
    const size_t around =
        r->item.resource.n + r->item.scope.n + m->around.n + m->data_around.n + RECORD_HEADS;
    const uint64_t limit = ring_limit(r->pl->st, RING_POINTS);
    return around < limit ? (size_t)limit - around : 0;
}

bool otlp_points_add(struct otlp_request *r, struct str raw)
{
    struct buf *points = &r->pl->points;
    if (!r->pl->options.forward_points)
        return true;
    if (raw.n + POINT_HEAD > r->hand.room)
        return false;
    if (points->n + raw.n + POINT_HEAD > r->hand.room)
        otlp_points_flush(r);
    put_bytes(points, POINTS, raw);
    return !points->failed;
}

void otlp_points_flush(struct otlp_request *r)
{
    const struct otlp_metric *m = &r->hand.m;
    struct buf *points = &r->pl->points, *metric = &r->pl->metric;
    if (points->n == 0)
        return;
    r->work += m->around.n + m->data_around.n; /* which is written and redacted each time */
    const bool room = otlp_make_room(r, RING_POINTS);
    buf_reset(metric);
    buf_addstr(metric, buf_str(&m->around));
    const size_t data = put_open(metric, m->data);
    buf_addstr(metric, buf_str(&m->data_around));
    buf_addstr(metric, buf_str(points));
    put_close(metric, data);
    buf_reset(points);
    if (metric->failed || !room ||
        otlp_keep(r, RING_POINTS, RECORD_OTLP_METRIC, buf_str(metric)) != DROP_MAX)
        own_add(&r->pl->own, OWN_OTLP_UNFORWARDED, 0, 1);
}
