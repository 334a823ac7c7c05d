/* Building FlatBuffers from the end. */
#include "program/flatbuffer_writer.h"

#include <assert.h>

enum { FIRST_CAPACITY = 4096, MAX_BYTES = INT32_MAX };

void qvk__fb_writer_free(qvk__fb_writer *writer)
{
    free(writer->data);
    free(writer->vtables.data);
    memset(writer, 0, sizeof *writer);
}

/* Makes room for `bytes` more in front; false once anything failed. */
static bool reserve(qvk__fb_writer *writer, size_t bytes)
{
    size_t capacity = writer->capacity ? writer->capacity : FIRST_CAPACITY;
    uint8_t *grown;

    if (writer->failed || bytes > MAX_BYTES - writer->used) {
        writer->too_long |= !writer->failed;
        writer->failed = true;
        return false;
    }
    if (writer->data && writer->used + bytes <= capacity)
        return true;
    while (capacity < writer->used + bytes)
        capacity *= 2;
    grown = malloc(capacity);
    if (!grown) {
        writer->failed = true;
        return false;
    }
    if (writer->used)
        memcpy(grown + capacity - writer->used, writer->data + writer->capacity - writer->used, writer->used);
    free(writer->data);
    writer->data = grown;
    writer->capacity = capacity;
    return true;
}

static void prepend(qvk__fb_writer *writer, const void *data, size_t bytes)
{
    if (bytes == 0 || !reserve(writer, bytes))
        return;
    writer->used += bytes;
    memcpy(writer->data + writer->capacity - writer->used, data, bytes);
}

/* Pads so that what comes next, `bytes` long, starts on a multiple of `alignment` (a power of two). */
static void align(qvk__fb_writer *writer, size_t bytes, size_t alignment)
{
    size_t pad = (~(writer->used + bytes) + 1) & (alignment - 1);

    if (alignment > writer->alignment)
        writer->alignment = alignment;
    if (!reserve(writer, pad))
        return;
    writer->used += pad;
    memset(writer->data + writer->capacity - writer->used, 0, pad);
}

static void prepend_scalar(qvk__fb_writer *writer, const void *value, size_t width)
{
    align(writer, width, width);
    prepend(writer, value, width);
}

static void prepend_offset(qvk__fb_writer *writer, qvk__fb_offset offset)
{
    uint32_t distance;

    align(writer, sizeof distance, sizeof distance);
    distance = (uint32_t)writer->used + (uint32_t)sizeof distance - offset;
    prepend(writer, &distance, sizeof distance);
}

static qvk__fb_offset here(const qvk__fb_writer *writer)
{
    return (qvk__fb_offset)writer->used;
}

static qvk__fb_offset end_vector(qvk__fb_writer *writer, size_t count)
{
    uint32_t header = (uint32_t)count;
    prepend_scalar(writer, &header, sizeof header);
    return here(writer);
}

static bool fits(qvk__fb_writer *writer, size_t count, size_t width)
{
    if (count <= MAX_BYTES / width)
        return true;
    writer->too_long |= !writer->failed;
    writer->failed = true;
    return false;
}

qvk__fb_offset qvk__fb_add_vector(qvk__fb_writer *writer, const void *data, size_t count, size_t width,
                                  size_t alignment)
{
    if (!fits(writer, count, width))
        return 0;
    align(writer, count * width, QVK__MAX(QVK__MAX(width, alignment), sizeof(uint32_t)));
    prepend(writer, data, count * width);
    return end_vector(writer, count);
}

qvk__fb_offset qvk__fb_add_string(qvk__fb_writer *writer, const char *text)
{
    size_t length;

    if (!text)
        return 0;
    length = strlen(text);
    align(writer, length + 1, sizeof(uint32_t));
    prepend(writer, text, length + 1);
    return end_vector(writer, length);
}

qvk__fb_offset qvk__fb_add_offsets(qvk__fb_writer *writer, const qvk__fb_offset *offsets, size_t count)
{
    if (!fits(writer, count, sizeof *offsets))
        return 0;
    align(writer, count * sizeof *offsets, sizeof *offsets);
    for (size_t i = count; i-- > 0;)
        prepend_offset(writer, offsets[i]);
    return end_vector(writer, count);
}

void qvk__fb_begin(qvk__fb_writer *writer)
{
    memset(writer->fields, 0, sizeof writer->fields);
}

static void set(qvk__fb_writer *writer, int field, const void *value, size_t width, bool is_offset)
{
    qvk__fb_pending *pending = &writer->fields[field];

    assert(field >= 0 && field < QVK__FB_MAX_FIELDS);
    memcpy(pending->value, value, width);
    pending->width = (uint8_t)width;
    pending->is_offset = is_offset;
}

#define DEFINE_SETTER(name, type)                                                                            \
    void qvk__fb_set_##name(qvk__fb_writer *writer, int field, type value)                                   \
    {                                                                                                        \
        set(writer, field, &value, sizeof value, false);                                                     \
    }
QVK__FB_SCALAR_LIST(DEFINE_SETTER)
#undef DEFINE_SETTER

void qvk__fb_set_offset(qvk__fb_writer *writer, int field, qvk__fb_offset offset)
{
    if (offset)
        set(writer, field, &offset, sizeof offset, true);
}

/* Writes the pending fields; their places go to `places`. Sorted by width, so that padding is needed once.
 * Returns where they end: padding behind them is not the table's, or equal tables would have different
 * vtables. */
static qvk__fb_offset prepend_fields(qvk__fb_writer *writer, qvk__fb_offset places[QVK__FB_MAX_FIELDS])
{
    qvk__fb_offset end = 0;
    bool any = false;

    for (size_t width = 1; width <= 8; width *= 2) {
        for (int i = QVK__FB_MAX_FIELDS - 1; i >= 0; i--) {
            const qvk__fb_pending *pending = &writer->fields[i];
            if (pending->width != width)
                continue;
            if (pending->is_offset) {
                qvk__fb_offset offset;
                memcpy(&offset, pending->value, sizeof offset);
                prepend_offset(writer, offset);
            } else {
                prepend_scalar(writer, pending->value, width);
            }
            places[i] = here(writer);
            if (!any)
                end = here(writer) - (qvk__fb_offset)width;
            any = true;
        }
    }
    return end;
}

/* An equal vtable already written, 0 when there is none. */
static qvk__fb_offset find_vtable(const qvk__fb_writer *writer, const uint16_t *vtable)
{
    for (size_t i = writer->vtables.count; i-- > 0;) {
        const uint8_t *other = writer->data + writer->capacity - writer->vtables.data[i];
        if (memcmp(other, vtable, sizeof *vtable) == 0 && memcmp(other, vtable, vtable[0]) == 0)
            return writer->vtables.data[i];
    }
    return 0;
}

static qvk__fb_offset add_vtable(qvk__fb_writer *writer, const uint16_t *vtable)
{
    qvk__fb_offset place = find_vtable(writer, vtable);

    if (place)
        return place;
    align(writer, vtable[0], sizeof *vtable);
    prepend(writer, vtable, vtable[0]);
    if (!QVK__VEC_PUSH(&writer->vtables, here(writer)))
        writer->failed = true;
    return here(writer);
}

qvk__fb_offset qvk__fb_end(qvk__fb_writer *writer)
{
    qvk__fb_offset places[QVK__FB_MAX_FIELDS] = {0};
    uint16_t vtable[2 + QVK__FB_MAX_FIELDS] = {0};
    qvk__fb_offset end, table, place;
    uint32_t distance = 0;
    int n_fields = 0;

    end = prepend_fields(writer, places);
    prepend_scalar(writer, &distance, sizeof distance);
    table = here(writer);
    if (writer->failed)
        return 0;
    for (int i = 0; i < QVK__FB_MAX_FIELDS; i++) {
        if (!places[i])
            continue;
        vtable[2 + i] = (uint16_t)(table - places[i]);
        n_fields = i + 1;
    }
    vtable[0] = (uint16_t)((2 + n_fields) * (int)sizeof *vtable);
    vtable[1] = (uint16_t)(n_fields ? table - end : sizeof distance);
    place = add_vtable(writer, vtable);
    if (writer->failed)
        return 0;
    /* From the table back to its vtable: negative when a shared one lies behind it. */
    distance = place - table;
    memcpy(writer->data + writer->capacity - table, &distance, sizeof distance);
    return table;
}

qvk_status qvk__fb_finish(qvk__fb_writer *writer, qvk__fb_offset root, const char *identifier,
                          const uint8_t **data, size_t *bytes, qvk_error *err)
{
    align(writer, 2 * sizeof root, QVK__MAX(writer->alignment, sizeof root));
    prepend(writer, identifier, 4);
    prepend_offset(writer, root);
    QVK__CHECK(!writer->too_long, err, QVK_UNSUPPORTED, "program description longer than 2 GiB");
    QVK__CHECK(!writer->failed, err, QVK_OUT_OF_MEMORY, "out of memory");
    *data = writer->data + writer->capacity - writer->used;
    *bytes = writer->used;
    return QVK_OK;
}
