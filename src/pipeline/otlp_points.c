/* Metrics as they came, into the ring of points.
 *
 * A record is a Metric message with the points that passed the trust line: one that the
 * next receiver cannot read would cost it the whole request. A metric with more points
 * than a record holds becomes several. */
#include "otlp/field.h"
#include "otlp/put.h"
#include "pipeline/otlp_request.h"

enum {
    POINTS = 1,        /* number of the field, in all kinds of data */
    POINT_HEAD = 6,    /* bytes of tag and length, at most */
    RECORD_HEADS = 64, /* likewise of all that lies around the points */
};

/* Copies the fields of a message but those of one number. */
static void put_others(struct buf *to, struct str message, unsigned number)
{
    struct fields r = fields_of(message);
    struct field f;
    const uint8_t *at = r.p;
    while (fields_next(&r, &f)) {
        if (f.tag >> 3 != number)
            buf_add(to, at, (size_t)(r.p - at));
        at = r.p;
    }
}

static struct str data_of(const struct otlp_request *r)
{
    struct fields in = fields_of(r->item.bytes);
    struct field f;
    while (fields_next(&in, &f))
        if (f.tag == ((uint32_t)r->hand.m.data << 3 | FIELD_BYTES))
            return f.s;
    return (struct str){0};
}

/* Bytes of points that a record of this metric has room for. */
static size_t room(const struct otlp_request *r)
{
    const size_t around =
        r->item.resource.n + r->item.scope.n + (r->item.bytes.n - data_of(r).n) + RECORD_HEADS;
    const uint64_t limit = ring_limit(r->pl->st, RING_POINTS);
    return around < limit ? (size_t)limit - around : 0;
}

bool otlp_points_add(struct otlp_request *r, struct str raw)
{
    struct buf *points = &r->pl->points;
    if (!r->pl->options.forward_points)
        return true;
    if (r->hand.room == 0)
        r->hand.room = room(r);
    if (raw.n + POINT_HEAD > r->hand.room)
        return false;
    if (points->n + raw.n + POINT_HEAD > r->hand.room)
        otlp_points_flush(r);
    put_bytes(points, POINTS, raw);
    return !points->failed;
}

void otlp_points_flush(struct otlp_request *r)
{
    struct buf *points = &r->pl->points, *metric = &r->pl->metric;
    if (points->n == 0)
        return;
    const bool room = otlp_make_room(r, RING_POINTS);
    buf_reset(metric);
    put_others(metric, r->item.bytes, r->hand.m.data);
    const size_t data = put_open(metric, r->hand.m.data);
    put_others(metric, data_of(r), POINTS);
    buf_addstr(metric, buf_str(points));
    put_close(metric, data);
    buf_reset(points);
    if (metric->failed || !room ||
        otlp_keep(r, RING_POINTS, RECORD_OTLP_METRIC, buf_str(metric)) != DROP_MAX)
        own_add(&r->pl->own, OWN_OTLP_UNFORWARDED, 0, 1);
}
