/* Weights and constants of a .pt2: payload configurations, views of storages, tied tensors. */
#include <stdio.h>

#include "core/dtype.h"
#include "pt2/pt2_reader.h"

/* ---- views --------------------------------------------------------------------------------------------- */

static bool is_contiguous(const qvk__pt2_layout *layout)
{
    int64_t strides[QVK_MAX_RANK];

    qvk__strides(&layout->desc, strides);
    for (int i = 0; i < layout->desc.rank; i++)
        if (layout->desc.sizes[i] != 1 && layout->strides[i] != strides[i])
            return false;
    return true;
}

/* Elements of storage that a view reaches into; false when that is no sensible number. The view is not empty.
 */
static bool extent_of(const qvk__pt2_layout *layout, uint64_t *out)
{
    uint64_t last = (uint64_t)layout->storage_offset, step;

    if (layout->storage_offset < 0)
        return false;
    for (int i = 0; i < layout->desc.rank; i++)
        if (layout->strides[i] < 0 ||
            !qvk__mul_u64((uint64_t)layout->desc.sizes[i] - 1, (uint64_t)layout->strides[i], &step) ||
            !qvk__add_u64(last, step, &last))
            return false;
    return qvk__add_u64(last, 1, out);
}

/* Everything that tells two views apart, as text. */
static const char *view_key(qvk__pt2_reader *reader, const qvk__pt2_layout *layout, const uint8_t *storage)
{
    qvk__string key = {0};
    const char *kept;

    qvk__string_addf(&key, "%p %d %lld", (const void *)storage, (int)layout->desc.dtype,
                     (long long)layout->storage_offset);
    for (int i = 0; i < layout->desc.rank; i++)
        qvk__string_addf(&key, " %lldx%lld", (long long)layout->desc.sizes[i], (long long)layout->strides[i]);
    kept = key.failed ? NULL : qvk__arena_strdup(&reader->scratch, key.data);
    free(key.data);
    return kept;
}

/* Archives that are not torch's own need not align their entries; such a storage is copied, once. */
static const uint8_t *aligned_storage(qvk__pt2_reader *reader, const uint8_t *storage, uint64_t bytes,
                                      size_t alignment)
{
    const uint8_t *copy;

    if ((uintptr_t)storage % alignment == 0)
        return storage;
    for (size_t i = 0; i < reader->copies.count; i++)
        if (reader->copies.data[i].original == storage)
            return reader->copies.data[i].copy;
    copy = qvk__arena_memdup(&reader->program->graph.arena, storage, (size_t)bytes);
    if (!copy || !QVK__VEC_PUSH(&reader->copies, (qvk__pt2_copy){storage, copy}))
        return NULL;
    return copy;
}

static void set_view(qvk__constant *constant, const qvk__pt2_layout *layout, const uint8_t *storage)
{
    size_t item = qvk_dtype_bytes(layout->desc.dtype);

    constant->element_bytes = (uint32_t)item;
    if (is_contiguous(layout)) {
        constant->data = storage + (size_t)layout->storage_offset * item;
        return;
    }
    constant->data = storage;
    constant->strided = true;
    constant->rank = layout->desc.rank;
    memcpy(constant->sizes, layout->desc.sizes, sizeof constant->sizes);
    memcpy(constant->strides, layout->strides, sizeof constant->strides);
    constant->storage_offset = layout->storage_offset;
}

qvk_status qvk__pt2_view_storage(qvk__pt2_reader *reader, const char *what, const qvk__pt2_layout *layout,
                                 const uint8_t *storage, uint64_t storage_bytes, const qvk__constant **out,
                                 qvk_error *err)
{
    size_t item = qvk_dtype_bytes(layout->desc.dtype);
    int64_t count = qvk_tensor_numel(&layout->desc), found;
    const char *key = view_key(reader, layout, storage);
    qvk__constant *constant;
    uint64_t extent = 0;

    QVK__CHECK(key, err, QVK_OUT_OF_MEMORY, "out of memory");
    if (qvk__map_get(&reader->view_index, key, &found)) {
        *out = reader->constants.data[found];
        return QVK_OK;
    }
    constant = qvk__arena_alloc(&reader->program->graph.arena, 1, sizeof *constant);
    QVK__CHECK(constant, err, QVK_OUT_OF_MEMORY, "out of memory");
    constant->name = qvk__arena_strdup(&reader->program->graph.arena, what);
    constant->bytes = qvk_tensor_bytes(&layout->desc);
    /* An empty file stands for a tensor whose data was never there (a fake tensor): zeros. */
    if (count > 0 && storage_bytes > 0) {
        QVK__CHECK(extent_of(layout, &extent) && extent <= storage_bytes / item, err, QVK_BAD_FORMAT,
                   "%s: a %s%s view does not fit into its %llu bytes of storage", what,
                   qvk_dtype_name(layout->desc.dtype), qvk__shape_text(&layout->desc).text,
                   (unsigned long long)storage_bytes);
        storage = aligned_storage(reader, storage, storage_bytes, item);
        QVK__CHECK(storage, err, QVK_OUT_OF_MEMORY, "%s: out of memory", what);
        set_view(constant, layout, storage);
    }
    QVK__CHECK(constant->name && qvk__map_set(&reader->view_index, key, (int64_t)reader->constants.count) &&
                   QVK__VEC_PUSH(&reader->constants, constant),
               err, QVK_OUT_OF_MEMORY, "out of memory");
    *out = constant;
    return QVK_OK;
}

/* ---- the table ----------------------------------------------------------------------------------------- */

qvk_status qvk__pt2_add_payload(qvk__pt2_reader *reader, const qvk__pt2_payload *payload, qvk_error *err)
{
    int64_t other;

    if (qvk__map_get(&reader->payload_index, payload->fqn,
                     &other)) /* a buffer in both tables: the same one */
        return QVK_OK;
    QVK__CHECK(qvk__map_set(&reader->payload_index, payload->fqn, (int64_t)reader->payloads.count) &&
                   QVK__VEC_PUSH(&reader->payloads, *payload),
               err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

qvk__pt2_payload *qvk__pt2_find_payload(const qvk__pt2_reader *reader, const char *fqn)
{
    int64_t index;
    return qvk__map_get(&reader->payload_index, fqn, &index) ? &reader->payloads.data[index] : NULL;
}

/* ---- payload configurations ---------------------------------------------------------------------------- */

static qvk_status read_plain_int(qvk__pt2_reader *reader, const qvk__json *at, int64_t *out, qvk_error *err)
{
    int32_t expression;

    QVK__TRY(qvk__pt2_read_sym_int(reader, at, out, &expression, err));
    if (expression >= 0 || *out < 0)
        return qvk__json_fail(at, err, QVK_BAD_FORMAT, "a number, at least 0, expected");
    return QVK_OK;
}

static qvk_status read_layout(qvk__pt2_reader *reader, const qvk__json *meta, qvk__pt2_layout *out,
                              qvk_error *err)
{
    qvk__json dtype, sizes, strides, member;
    size_t rank, n_strides;

    memset(out, 0, sizeof *out);
    QVK__TRY(qvk__json_get(meta, "dtype", &dtype, err));
    QVK__TRY(qvk__pt2_read_dtype(&dtype, &out->desc.dtype, err));
    QVK__TRY(qvk__json_get_array(meta, "sizes", &sizes, &rank, err));
    QVK__TRY(qvk__json_get_array(meta, "strides", &strides, &n_strides, err));
    if (rank > QVK_MAX_RANK || n_strides != rank)
        return qvk__json_fail(&sizes, err, QVK_BAD_FORMAT, "%zu sizes and %zu strides; at most %d", rank,
                              n_strides, QVK_MAX_RANK);
    out->desc.rank = (int32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        qvk__json size = qvk__json_element(&sizes, i), stride = qvk__json_element(&strides, i);
        QVK__TRY(read_plain_int(reader, &size, &out->desc.sizes[i], err));
        QVK__TRY(read_plain_int(reader, &stride, &out->strides[i], err));
    }
    if (qvk__json_find(meta, "storage_offset", &member))
        QVK__TRY(read_plain_int(reader, &member, &out->storage_offset, err));
    if (qvk__json_find(meta, "requires_grad", &member))
        QVK__TRY(qvk__json_bool(&member, &out->requires_grad, err));
    if (qvk_tensor_numel(&out->desc) < 0 ||
        (qvk_tensor_numel(&out->desc) > 0 && qvk_tensor_bytes(&out->desc) == 0))
        return qvk__json_fail(&sizes, err, QVK_BAD_FORMAT, "the shape is too large");
    return QVK_OK;
}

/* A failure that only matters when somebody uses the tensor. */
static qvk_status postpone(qvk__pt2_reader *reader, qvk_status status, const qvk_error *failure,
                           qvk__pt2_payload *payload, qvk_error *err)
{
    if (status != QVK_UNSUPPORTED) {
        if (err)
            *err = *failure;
        return status;
    }
    payload->refusal = qvk__arena_strdup(&reader->scratch, failure->message);
    QVK__CHECK(payload->refusal, err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk_status read_raw(qvk__pt2_reader *reader, const qvk__json *config, const char *entry,
                           qvk__pt2_payload *payload, qvk_error *err)
{
    qvk__pt2_layout layout;
    qvk__json meta;
    const uint8_t *data;
    uint64_t bytes;

    QVK__TRY(qvk__json_get(config, "tensor_meta", &meta, err));
    QVK__TRY(read_layout(reader, &meta, &layout, err));
    QVK__TRY(qvk__zip_get(&reader->zip, entry, &data, &bytes, err));
    payload->tensor.desc = layout.desc;
    payload->tensor.requires_grad = layout.requires_grad;
    return qvk__pt2_view_storage(reader, payload->fqn, &layout, data, bytes, &payload->tensor.constant, err);
}

static qvk_status read_payload(qvk__pt2_reader *reader, const char *folder, const qvk__json *config,
                               qvk_error *err)
{
    qvk__pt2_payload payload = {0};
    qvk_error failure;
    const char *path, *entry;
    qvk__json use_pickle;
    bool pickled = false;
    qvk_status status;

    QVK__TRY(qvk__json_get_string(config, "path_name", &path, err));
    if (qvk__json_find(config, "use_pickle", &use_pickle))
        QVK__TRY(qvk__json_bool(&use_pickle, &pickled, err));
    payload.fqn = qvk__arena_strdup(&reader->scratch, config->key);
    entry = qvk__arena_printf(&reader->scratch, "%s%s", folder, path);
    QVK__CHECK(payload.fqn && entry, err, QVK_OUT_OF_MEMORY, "out of memory");
    if (qvk__starts_with(path, "custom_obj_") || qvk__starts_with(path, "opaque_obj_")) {
        payload.refusal = "a custom object, which only Python can read";
        return qvk__pt2_add_payload(reader, &payload, err);
    }
    status = pickled ? qvk__pt2_read_saved_tensor(reader, entry, &payload, &failure)
                     : read_raw(reader, config, entry, &payload, &failure);
    if (status != QVK_OK)
        QVK__TRY(postpone(reader, status, &failure, &payload, err));
    return qvk__pt2_add_payload(reader, &payload, err);
}

static qvk_status read_config(qvk__pt2_reader *reader, const char *folder, const char *name, qvk_error *err)
{
    qvk__json document, config, item;
    const uint8_t *text;
    void *iterator = NULL;
    qvk_status status;
    uint64_t bytes;

    QVK__TRY(qvk__zip_get(&reader->zip, name, &text, &bytes, err));
    QVK__TRY(qvk__json_parse(text, bytes, name, &document, err));
    QVK__TRY_GO(qvk__json_get(&document, "config", &config, err));
    while (qvk__json_next(&config, &iterator, &item))
        QVK__TRY_GO(read_payload(reader, folder, &item, err));
done:
    qvk__json_finish(&document);
    return status;
}

qvk_status qvk__pt2_read_payloads(qvk__pt2_reader *reader, const char *model, qvk_error *err)
{
    static const char *const kinds[] = {"weights", "constants"};

    for (size_t i = 0; i < QVK__COUNT(kinds); i++) {
        const char *folder = qvk__arena_printf(&reader->scratch, "data/%s/", kinds[i]);
        const char *config =
            qvk__arena_printf(&reader->scratch, "data/%s/%s_%s_config.json", kinds[i], model, kinds[i]);
        /* The first releases with this archive saved the whole dict at once. */
        const char *saved = qvk__arena_printf(&reader->scratch, "data/%s/%s.pt", kinds[i], model);
        QVK__CHECK(folder && config && saved, err, QVK_OUT_OF_MEMORY, "out of memory");
        if (qvk__zip_find(&reader->zip, saved))
            QVK__TRY(qvk__pt2_read_saved_dict(reader, saved, err));
        else
            QVK__TRY(read_config(reader, folder, config, err));
    }
    return QVK_OK;
}
