/* What a .pte holds beside its description: constants, named data, blobs, and the segments they go to. */
#include "core/dtype.h"
#include "program/pte_writer.h"

/* ---- pointers to numbers ------------------------------------------------------------------------------- */

static size_t slot_of(const qvk__pointer_map *map, const void *key)
{
    size_t i = (size_t)qvk__hash64(&key, sizeof key, 0) & (map->capacity - 1);
    while (map->keys[i] && map->keys[i] != key)
        i = (i + 1) & (map->capacity - 1);
    return i;
}

static bool grow(qvk__pointer_map *map)
{
    qvk__pointer_map grown = {.count = map->count, .capacity = map->capacity ? 2 * map->capacity : 64};

    grown.keys = calloc(grown.capacity, sizeof *grown.keys);
    grown.values = calloc(grown.capacity, sizeof *grown.values);
    if (!grown.keys || !grown.values) {
        qvk__pointer_map_free(&grown);
        return false;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        size_t slot;
        if (!map->keys[i])
            continue;
        slot = slot_of(&grown, map->keys[i]);
        grown.keys[slot] = map->keys[i];
        grown.values[slot] = map->values[i];
    }
    qvk__pointer_map_free(map);
    *map = grown;
    return true;
}

bool qvk__pointer_map_at(qvk__pointer_map *map, const void *key, bool *found, uint32_t **value)
{
    size_t slot;

    if (map->count * 2 >= map->capacity && !grow(map))
        return false;
    slot = slot_of(map, key);
    *found = map->keys[slot] != NULL;
    map->count += !*found;
    map->keys[slot] = key;
    *value = &map->values[slot];
    return true;
}

void qvk__pointer_map_free(qvk__pointer_map *map)
{
    free(map->keys);
    free(map->values);
    memset(map, 0, sizeof *map);
}

/* ---- data of values ------------------------------------------------------------------------------------ */

/* Adds the value's data to its segment, once for values that share it. */
static qvk_status add_piece(qvk__pte_writer *writer, qvk__pointer_map *index, const qvk__evalue *value,
                            uint32_t *out, qvk_error *err)
{
    qvk__pte_pieces *pieces = value->planned ? &writer->mutables : &writer->constants;
    qvk__pte_piece piece = {.value = value};
    uint32_t *known = NULL;
    bool found = false;

    /* Only plain constants are shared: initial states and reordered data are few. */
    if (!value->planned && qvk__dim_order_is_identity(&value->desc, value->dim_order)) {
        QVK__CHECK(qvk__pointer_map_at(index, value->constant, &found, &known), err, QVK_OUT_OF_MEMORY,
                   "out of memory");
        if (found && pieces->data[*known - 1].value->constant_bytes >= value->constant_bytes) {
            *out = *known;
            return QVK_OK;
        }
    }
    if (pieces->count > 0) {
        const qvk__pte_piece *last = &pieces->data[pieces->count - 1];
        piece.offset = last->offset + last->value->constant_bytes;
        if (!value->planned)
            piece.offset = qvk__round_up(piece.offset, PTE_CONSTANT_ALIGNMENT);
    }
    QVK__CHECK(QVK__VEC_PUSH(pieces, piece), err, QVK_OUT_OF_MEMORY, "out of memory");
    *out = (uint32_t)pieces->count;
    if (known)
        *known = *out;
    return QVK_OK;
}

static qvk_status collect_pieces(qvk__pte_writer *writer, qvk_error *err)
{
    const qvk__program *program = writer->program;
    qvk__pointer_map index = {0};
    qvk_status status = QVK_OK;

    writer->data_index = qvk__arena_alloc(&writer->arena, program->n_methods, sizeof *writer->data_index);
    QVK__CHECK(writer->data_index, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint32_t m = 0; m < program->n_methods; m++) {
        const qvk__method *method = &program->methods[m];
        writer->data_index[m] =
            qvk__arena_alloc(&writer->arena, method->n_values, sizeof **writer->data_index);
        QVK__CHECK_GO(writer->data_index[m], err, QVK_OUT_OF_MEMORY, "out of memory");
        for (uint32_t v = 0; v < method->n_values; v++) {
            const qvk__evalue *value = &method->values[v];
            if (value->kind == QVK__EVALUE_TENSOR && value->constant && !value->external_name)
                QVK__TRY_GO(add_piece(writer, &index, value, &writer->data_index[m][v], err));
        }
    }
done:
    qvk__pointer_map_free(&index);
    return status;
}

/* ---- named data ---------------------------------------------------------------------------------------- */

static const char placeholder_key[] = "0000000000000000000000000000000000000000000000000000000000000000";

static qvk_status add_named(qvk__pte_writer *writer, const qvk__constant *constant, qvk_error *err)
{
    qvk__pte_named entry = {.constant = constant, .key = placeholder_key};
    const void *bytes = NULL;
    qvk__sha256 sha;
    uint32_t *index;
    bool found;
    char hex[65];

    QVK__CHECK(qvk__pointer_map_at(writer->named_index, constant, &found, &index), err, QVK_OUT_OF_MEMORY,
               "out of memory");
    if (found)
        return QVK_OK;
    *index = (uint32_t)writer->named.count;
    if (constant->data) {
        QVK__TRY(qvk__constant_bytes(constant, &bytes, err));
        qvk__sha256_begin(&sha);
        qvk__sha256_add(&sha, bytes, (size_t)constant->bytes);
        qvk__sha256_end(&sha, hex);
        qvk__constant_release(constant, bytes);
        entry.key = qvk__arena_strdup(&writer->arena, hex);
        entry.is_hashed = true;
        QVK__CHECK(entry.key, err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    QVK__CHECK(QVK__VEC_PUSH(&writer->named, entry), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

/* Only what calls use: passes leave constants behind that nothing refers to any more. */
typedef struct named_visitor {
    qvk__pte_writer *writer;
    const qvk__graph *graph;
    qvk_status status;
    qvk_error *err;
} named_visitor;

static void visit_constant(int32_t value, void *user)
{
    named_visitor *visitor = user;
    const qvk__constant *constant = visitor->graph->values.data[value].constant;

    if (constant && constant->bytes > 0 && visitor->status == QVK_OK)
        visitor->status = add_named(visitor->writer, constant, visitor->err);
}

static qvk_status collect_graph(qvk__pte_writer *writer, const qvk__graph *graph, qvk_error *err)
{
    named_visitor visitor = {writer, graph, QVK_OK, err};

    for (size_t n = 0; n < graph->nodes.count; n++)
        if (!graph->nodes.data[n].dead)
            qvk__node_visit_args(&graph->nodes.data[n], visit_constant, &visitor);
    for (size_t i = 0; i < graph->outputs.count; i++)
        visit_constant(graph->outputs.data[i], &visitor);
    return visitor.status;
}

/* What other backends' delegates find by key is kept; which of them uses what is not known. */
static qvk_status carry_named(qvk__pte_writer *writer, qvk_error *err)
{
    for (size_t i = 0; i < writer->program->named.count; i++) {
        const qvk__named_data *named = &writer->program->named.data[i];
        qvk__pte_named entry = {.carried = named, .key = named->key, .is_hashed = true};
        QVK__CHECK(QVK__VEC_PUSH(&writer->named, entry), err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

static qvk_status collect_delegates(qvk__pte_writer *writer, qvk_error *err)
{
    bool others = false;

    for (uint32_t m = 0; m < writer->program->n_methods; m++) {
        const qvk__method *method = &writer->program->methods[m];
        for (uint32_t d = 0; d < method->n_delegates; d++) {
            const qvk__delegate *delegate = &method->delegates[d];
            qvk__pte_blob blob = {
                .delegate = delegate, .data = delegate->blob, .bytes = delegate->blob_bytes};
            QVK__CHECK(QVK__VEC_PUSH(&writer->blobs, blob), err, QVK_OUT_OF_MEMORY, "out of memory");
            if (delegate->parsed)
                QVK__TRY(collect_graph(writer, &delegate->graph, err));
            else
                others = true;
        }
    }
    return others ? carry_named(writer, err) : QVK_OK;
}

qvk_status qvk__pte_drop_duplicates(qvk__pte_writer *writer, qvk_error *err)
{
    qvk_status status = QVK_OK;
    qvk__map seen = {0};

    for (uint32_t i = 0; i < writer->named.count; i++) {
        qvk__pte_named *entry = &writer->named.data[i];
        int64_t first;
        entry->is_duplicate = false;
        if (!entry->is_hashed)
            continue;
        if (qvk__map_get(&seen, entry->key, &first)) {
            entry->is_duplicate = true;
            entry->segment = writer->named.data[first].segment;
        } else {
            QVK__CHECK_GO(qvk__map_set(&seen, entry->key, i), err, QVK_OUT_OF_MEMORY, "out of memory");
        }
    }
done:
    qvk__map_free(&seen);
    return status;
}

/* ---- blobs --------------------------------------------------------------------------------------------- */

static const char *key_of(void *user, const qvk__constant *constant)
{
    const qvk__pte_writer *writer = user;
    uint32_t *index;
    bool found;

    /* Every constant a blob refers to was collected, so this neither adds one nor fails. */
    if (!qvk__pointer_map_at(writer->named_index, constant, &found, &index) || !found)
        return placeholder_key;
    return writer->named.data[*index].key;
}

qvk_status qvk__pte_make_blobs(qvk__pte_writer *writer, qvk_error *err)
{
    qvk__key_source keys = {key_of, writer};

    for (size_t i = 0; i < writer->blobs.count; i++) {
        qvk__pte_blob *blob = &writer->blobs.data[i];
        if (!blob->delegate->parsed)
            continue;
        free(blob->made);
        blob->made = NULL;
        QVK__TRY(qvk__blob_write(&blob->delegate->graph, &keys, &blob->made, &blob->bytes, err));
        blob->data = blob->made;
    }
    return QVK_OK;
}

/* ---- segments ------------------------------------------------------------------------------------------ */

static qvk_status add_segment(qvk__pte_writer *writer, uint64_t bytes, uint32_t *index, qvk_error *err)
{
    qvk__pte_region region = {0, bytes};

    if (writer->segments.count > 0) {
        const qvk__pte_region *last = &writer->segments.data[writer->segments.count - 1];
        region.offset = qvk__round_up(last->offset + last->bytes, PTE_SEGMENT_ALIGNMENT);
    }
    *index = (uint32_t)writer->segments.count;
    QVK__CHECK(QVK__VEC_PUSH(&writer->segments, region), err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static uint64_t pieces_bytes(const qvk__pte_pieces *pieces)
{
    const qvk__pte_piece *last = pieces->count ? &pieces->data[pieces->count - 1] : NULL;
    return last ? last->offset + last->value->constant_bytes : 0;
}

/* In ExecuTorch's order: constants (always there, even empty), mutable data, blobs, named data. */
static qvk_status lay_out(qvk__pte_writer *writer, qvk_error *err)
{
    uint32_t constant_segment;

    QVK__TRY(add_segment(writer, pieces_bytes(&writer->constants), &constant_segment, err));
    if (writer->mutables.count > 0)
        QVK__TRY(add_segment(writer, pieces_bytes(&writer->mutables), &writer->mutable_segment, err));
    for (size_t i = 0; i < writer->blobs.count; i++)
        if (writer->blobs.data[i].bytes > 0)
            QVK__TRY(add_segment(writer, writer->blobs.data[i].bytes, &writer->blobs.data[i].segment, err));
    for (size_t i = 0; i < writer->named.count; i++) {
        qvk__pte_named *entry = &writer->named.data[i];
        if (!entry->is_duplicate)
            QVK__TRY(add_segment(writer, entry->constant ? entry->constant->bytes : entry->carried->bytes,
                                 &entry->segment, err));
    }
    return qvk__pte_drop_duplicates(writer, err);
}

qvk_status qvk__pte_collect(qvk__pte_writer *writer, qvk_error *err)
{
    QVK__TRY(collect_pieces(writer, err));
    QVK__TRY(collect_delegates(writer, err));
    QVK__TRY(qvk__pte_drop_duplicates(writer, err));
    QVK__TRY(qvk__pte_make_blobs(writer, err));
    return lay_out(writer, err);
}
