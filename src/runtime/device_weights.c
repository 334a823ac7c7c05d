#include "runtime/device_weights.h"

#include "core/dtype.h"
#include "runtime/staging.h"

/* Smaller constants are not worth another thread; a multiple of 256. */
enum { MAX_SOURCES = 4, PART_BYTES = 256 * 1024 };

void qvk__weights_finish(qvk__weights *weights)
{
    for (size_t i = 0; i < weights->list.count; i++) {
        if (weights->list.data[i].buffer)
            qvk__gpu_buffer_destroy(weights->gpu, weights->list.data[i].buffer);
        free(weights->list.data[i].buffer);
    }
    free(weights->list.data);
    memset(weights, 0, sizeof *weights);
}

/* ---- adding --------------------------------------------------------------------------------------------- */

/* Equal for constants that are the same bytes: tied weights, and equal pieces of a file's named data. */
static const void *identity(const qvk__graph *graph, int32_t value)
{
    const qvk__constant *constant = value < 0 ? NULL : graph->values.data[value].constant;
    if (!constant)
        return NULL;
    return constant->data && !constant->strided ? constant->data : constant;
}

static bool equal(const qvk__weight *a, const qvk__weight *b)
{
    return a->pack.fn == b->pack.fn && a->pack.bytes == b->pack.bytes &&
           memcmp(a->pack.dims, b->pack.dims, sizeof a->pack.dims) == 0 &&
           memcmp(a->sources, b->sources, sizeof a->sources) == 0;
}

/* The search begins at `first`, whatever that is. */
static int32_t find(const qvk__weights *weights, const qvk__weight *wanted, size_t first)
{
    const size_t count = weights->list.count;
    size_t at = first < count ? first : 0;

    for (size_t i = 0; i < count; i++) {
        if (equal(&weights->list.data[at], wanted))
            return (int32_t)at;
        at = at + 1 < count ? at + 1 : 0;
    }
    return -1;
}

static qvk_status add(qvk__weights *weights, const qvk__pack *pack, bool share, int32_t *out, qvk_error *err)
{
    qvk__weight weight = {.pack = *pack};

    for (int i = 0; i < MAX_SOURCES; i++) {
        QVK__CHECK(pack->sources[i] < 0 || identity(weights->graph, pack->sources[i]), err, QVK_INTERNAL,
                   "value %d is packed but is no constant", pack->sources[i]);
        weight.sources[i] = identity(weights->graph, pack->sources[i]);
    }
    *out = share ? find(weights, &weight, weights->expected) : -1;
    if (*out < 0) {
        QVK__CHECK(QVK__VEC_PUSH(&weights->list, weight), err, QVK_OUT_OF_MEMORY, "out of memory");
        *out = (int32_t)weights->list.count - 1;
    }
    weights->expected = (size_t)*out + 1;
    return QVK_OK;
}

qvk_status qvk__weights_add(qvk__weights *weights, const qvk__pack *pack, int32_t *out, qvk_error *err)
{
    return add(weights, pack, true, out, err);
}

/* dims: dtype of the source, elements. Elements past the end (the rounding) are zero. */
static void pack_plain(const qvk__pack *pack, const void *const *sources, uint64_t offset, void *dst,
                       uint64_t bytes)
{
    const qvk_dtype from = (qvk_dtype)pack->dims[0], to = qvk__device_dtype(from);
    const uint64_t size = qvk_dtype_bytes(to), numel = (uint64_t)pack->dims[1];
    const uint64_t first = QVK__MIN(offset / size, numel);
    const uint64_t count = QVK__MIN(bytes / size, numel - first);
    qvk_status status;

    status = qvk__stage_copy((const char *)sources[0] + first * qvk_dtype_bytes(from), from, dst, to, count,
                             true, "constant", NULL);
    (void)status; /* a device type is always reachable from its own type */
    memset((char *)dst + count * size, 0, bytes - count * size);
}

static qvk__pack plain_pack(const qvk__graph *graph, int32_t value)
{
    const qvk_tensor *desc = &graph->values.data[value].desc;
    return (qvk__pack){.fn = pack_plain,
                       .sources = {value, -1, -1, -1},
                       .dims = {desc->dtype, qvk_tensor_numel(desc)},
                       .bytes = QVK__MAX(qvk__device_bytes(desc), 16)};
}

qvk_status qvk__weights_add_plain(qvk__weights *weights, int32_t value, int32_t *out, qvk_error *err)
{
    const qvk__pack pack = plain_pack(weights->graph, value);
    return add(weights, &pack, true, out, err);
}

int32_t qvk__weights_find_plain(const qvk__weights *weights, int32_t value)
{
    const qvk__weight wanted = {.pack = plain_pack(weights->graph, value),
                                .sources = {identity(weights->graph, value)}};
    return find(weights, &wanted, 0);
}

int32_t qvk__weights_find_state(const qvk__weights *weights, int32_t value)
{
    for (size_t i = 0; i < weights->list.count; i++)
        if (!weights->list.data[i].pack.fn && weights->list.data[i].pack.sources[0] == value)
            return (int32_t)i;
    return -1;
}

qvk_status qvk__weights_add_state(qvk__weights *weights, int32_t value, int32_t *out, qvk_error *err)
{
    qvk__pack pack = plain_pack(weights->graph, value);
    const int32_t found = qvk__weights_find_state(weights, value);

    if (found >= 0) {
        *out = found;
        return QVK_OK;
    }
    pack.fn = NULL;
    return add(weights, &pack, false, out, err);
}

/* ---- uploading ------------------------------------------------------------------------------------------ */

typedef struct packing {
    const qvk__pack *pack;
    const void *const *sources;
    uint64_t offset, bytes; /* of the chunk, in the packed form */
    char *span;
} packing;

static void pack_part(void *user, uint64_t begin, uint64_t end)
{
    const packing *it = user;
    it->pack->fn(it->pack, it->sources, it->offset + begin, it->span + begin, end - begin);
}

/* Pages of files behind bytes [begin, end) of the packed form. Packing walks through its sources more or less
 * in step; where it does not, it reads a page again. */
static void let_go(const qvk__weights *weights, const qvk__pack *pack, const void *const *sources,
                   uint64_t begin, uint64_t end)
{
    for (int i = 0; weights->program && i < MAX_SOURCES; i++) {
        const qvk__constant *constant;
        uint64_t from, to;
        if (!sources[i])
            continue;
        constant = weights->graph->values.data[pack->sources[i]].constant;
        from = (uint64_t)((double)constant->bytes * ((double)begin / (double)pack->bytes));
        to = end == pack->bytes ? constant->bytes
                                : (uint64_t)((double)constant->bytes * ((double)end / (double)pack->bytes));
        qvk__program_let_go(weights->program, (const uint8_t *)sources[i] + from, to - from);
    }
}

/* Chunk after chunk into the ring, each packed by several threads. */
static qvk_status pack_chunks(qvk__weights *weights, const qvk__pack *pack, const void *const *sources,
                              const qvk__gpu_buffer *to, qvk_error *err)
{
    const uint64_t chunk = qvk__gpu_upload_chunk(weights->gpu) / 256 * 256;

    for (uint64_t offset = 0; offset < pack->bytes; offset += chunk) {
        packing it = {pack, sources, offset, QVK__MIN(chunk, pack->bytes - offset), NULL};
        void *span;
        QVK__TRY(qvk__gpu_upload_begin(weights->gpu, to, offset, it.bytes, &span, err));
        it.span = span;
        qvk__parallel(it.bytes, PART_BYTES, pack_part, &it);
        QVK__TRY(qvk__gpu_upload_end(weights->gpu, to, offset, err));
        let_go(weights, pack, sources, offset, offset + it.bytes);
    }
    return QVK_OK;
}

static qvk_status check_source(const qvk__graph *graph, int32_t value, qvk_error *err)
{
    const qvk__value *info = &graph->values.data[value];
    QVK__CHECK(info->constant->bytes >= qvk_tensor_bytes(&info->desc), err, QVK_BAD_FORMAT,
               "constant %s: %llu bytes for %s%s", info->name, (unsigned long long)info->constant->bytes,
               qvk_dtype_name(info->desc.dtype), qvk__shape_text(&info->desc).text);
    return QVK_OK;
}

static qvk_status fill(qvk__weights *weights, const qvk__weight *weight, qvk_error *err)
{
    const qvk__graph *graph = weights->graph;
    const void *sources[MAX_SOURCES] = {NULL};
    qvk__pack pack = weight->pack;
    qvk_status status = QVK_OK;

    pack.fn = pack.fn ? pack.fn : pack_plain;
    for (int i = 0; i < MAX_SOURCES; i++) {
        if (pack.sources[i] < 0)
            continue;
        QVK__TRY_GO(check_source(graph, pack.sources[i], err));
        QVK__TRY_GO(qvk__constant_bytes(graph->values.data[pack.sources[i]].constant, &sources[i], err));
    }
    QVK__TRY_GO(pack_chunks(weights, &pack, sources, weight->buffer, err));
done:
    for (int i = 0; i < MAX_SOURCES; i++)
        if (sources[i])
            qvk__constant_release(graph->values.data[pack.sources[i]].constant, sources[i]);
    return status;
}

static qvk_status upload(qvk__weights *weights, qvk__weight *weight, qvk_error *err)
{
    qvk__gpu_buffer *buffer = qvk__alloc_zeroed(1, sizeof *buffer);
    qvk_status status;

    QVK__CHECK(buffer, err, QVK_OUT_OF_MEMORY, "out of memory");
    status = qvk__gpu_buffer_create(weights->gpu, QVK__GPU_MEMORY_DEVICE, weight->pack.bytes, buffer, err);
    if (status != QVK_OK) {
        free(buffer);
        return qvk__error_context(err, status, "constant %s",
                                  weights->graph->values.data[weight->pack.sources[0]].name);
    }
    weight->buffer = buffer;
    weights->bytes += weight->pack.bytes;
    return fill(weights, weight, err);
}

qvk_status qvk__weights_upload(qvk__weights *weights, qvk_error *err)
{
    bool any = false;

    for (size_t i = 0; i < weights->list.count; i++) {
        if (weights->list.data[i].buffer)
            continue;
        QVK__TRY(upload(weights, &weights->list.data[i], err));
        any = true;
    }
    return any ? qvk__gpu_upload_flush(weights->gpu, err) : QVK_OK;
}

qvk_status qvk__weights_reset(qvk__weights *weights, qvk_error *err)
{
    for (size_t i = 0; i < weights->list.count; i++)
        if (!weights->list.data[i].pack.fn && weights->list.data[i].buffer)
            QVK__TRY(fill(weights, &weights->list.data[i], err));
    return qvk__gpu_upload_flush(weights->gpu, err);
}
