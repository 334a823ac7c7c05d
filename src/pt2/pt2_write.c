/*
 * Writing exported programs: the archive and its payloads. Constants are made and written one at a time.
 * Tensors that overlap in memory (tied weights, views of one storage) share a file, as torch keeps them.
 */
#include <stdio.h>

#include "core/dtype.h"
#include "pt2/pt2_writer.h"
#include "pt2/zip_write.h"

/* One payload file: a constant, or the bytes that several share. */
typedef struct shared_bytes {
    const qvk__constant *constant; /* its contiguous bytes; NULL: data..end as they are */
    const uint8_t *data, *end;
    int32_t file; /* number in the file's name; -1: not named yet */
} shared_bytes;

typedef struct tensor_entry {
    const qvk__input_spec *spec;
    const uint8_t *data, *end; /* storage it looks into, NULL when made on demand */
    size_t storage;
} tensor_entry;

typedef struct payload_table {
    const char *folder, *prefix; /* "data/weights/", "weight_" */
    tensor_entry *payloads;
    shared_bytes *storages;
    size_t n_payloads, n_storages;
} payload_table;

/* ---- who shares what ----------------------------------------------------------------------------------- */

static bool belongs(const qvk__input_spec *spec, bool weights)
{
    switch (spec->kind) {
    case QVK__INPUT_PARAMETER: return weights;
    case QVK__INPUT_BUFFER: return spec->persistent == weights;
    case QVK__INPUT_TENSOR_CONSTANT: return !weights;
    default: return false;
    }
}

static void set_extent(tensor_entry *payload, const qvk__constant *constant)
{
    uint64_t last;

    if (!constant->data || constant->bytes == 0)
        return;
    payload->data = constant->data;
    payload->end = payload->data + constant->bytes;
    if (!constant->strided)
        return;
    last = (uint64_t)constant->storage_offset;
    for (int i = 0; i < constant->rank; i++)
        last += (uint64_t)(constant->sizes[i] - 1) * (uint64_t)constant->strides[i];
    payload->end = payload->data + (last + 1) * constant->element_bytes;
}

/* By address; what is made on demand by its constant. */
static int compare_places(const void *a, const void *b)
{
    const tensor_entry *const *left = a, *const *right = b;
    uintptr_t x = (uintptr_t)(*left)->data, y = (uintptr_t)(*right)->data;
    return x < y ? -1 : x > y;
}

static size_t new_storage(payload_table *table, const qvk__constant *constant, const tensor_entry *first)
{
    table->storages[table->n_storages] = (shared_bytes){constant, first->data, first->end, -1};
    return table->n_storages++;
}

/* Can the payload be a view of the storage that starts at `start`? Its offset is counted in elements. */
static bool is_aligned(const qvk__exported *program, const tensor_entry *payload, const uint8_t *start)
{
    size_t item = qvk_dtype_bytes(program->graph.values.data[payload->spec->value].desc.dtype);
    return (size_t)(payload->data - start) % item == 0;
}

static const qvk__constant *constant_of(const qvk__exported *program, const tensor_entry *payload)
{
    return program->graph.values.data[payload->spec->value].constant;
}

/* Made on demand: the same constant is the same storage. */
static size_t find_made(const payload_table *table, const qvk__constant *constant)
{
    for (size_t i = 0; i < table->n_storages; i++)
        if (table->storages[i].constant == constant)
            return i;
    return table->n_storages;
}

static qvk_status assign_storages(const qvk__exported *program, payload_table *table, qvk_error *err)
{
    tensor_entry **sorted = qvk__alloc_zeroed(table->n_payloads, sizeof *sorted);
    shared_bytes *open = NULL;

    QVK__CHECK(sorted, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < table->n_payloads; i++)
        sorted[i] = &table->payloads[i];
    qsort(sorted, table->n_payloads, sizeof(tensor_entry *), compare_places);
    for (size_t i = 0; i < table->n_payloads; i++) {
        tensor_entry *payload = sorted[i];
        const qvk__constant *constant = constant_of(program, payload);
        if (!payload->data) {
            payload->storage = find_made(table, constant);
            if (payload->storage == table->n_storages)
                new_storage(table, constant, payload);
        } else if (open && payload->data < open->end && is_aligned(program, payload, open->data)) {
            open->end = QVK__MAX(open->end, payload->end);
            payload->storage = (size_t)(open - table->storages);
        } else {
            payload->storage = new_storage(table, NULL, payload);
            open = &table->storages[payload->storage];
        }
    }
    free(sorted);
    return QVK_OK;
}

static qvk_status make_table(const qvk__exported *program, bool weights, payload_table *out, qvk_error *err)
{
    size_t count = program->inputs.count;

    *out = weights ? (payload_table){.folder = "data/weights/", .prefix = "weight_"}
                   : (payload_table){.folder = "data/constants/", .prefix = "tensor_"};
    out->payloads = qvk__alloc_zeroed(count, sizeof *out->payloads);
    out->storages = qvk__alloc_zeroed(count, sizeof *out->storages);
    QVK__CHECK(out->payloads && out->storages, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++) {
        tensor_entry payload = {.spec = &program->inputs.data[i]};
        if (!belongs(payload.spec, weights))
            continue;
        set_extent(&payload, constant_of(program, &payload));
        out->payloads[out->n_payloads++] = payload;
    }
    QVK__TRY(assign_storages(program, out, err));
    /* Files are numbered in the order of the placeholders, whatever their addresses. */
    int32_t next = 0;
    for (size_t i = 0; i < out->n_payloads; i++)
        if (out->storages[out->payloads[i].storage].file < 0)
            out->storages[out->payloads[i].storage].file = next++;
    return QVK_OK;
}

static void free_table(payload_table *table)
{
    free(table->payloads);
    free(table->storages);
}

/* ---- payload files and their configuration ------------------------------------------------------------- */

typedef struct plain_bytes {
    const qvk__file *file; /* that they may be mapped from */
    const uint8_t *data;
} plain_bytes;

static qvk_status get_plain(void *user, uint64_t offset, uint64_t bytes, void *buffer, const void **data,
                            qvk_error *err)
{
    const plain_bytes *it = user;
    return qvk__file_read(it->file, it->data + offset, bytes, buffer, data, err);
}

static qvk_status write_plain(qvk__zip_writer *zip, const char *name, const qvk__file *file, const void *data,
                              uint64_t bytes, qvk_error *err)
{
    plain_bytes it = {file, data};
    const qvk__zip_source source = {.bytes = bytes, .grain = 1, .get = get_plain, .user = &it};
    return qvk__zip_entry_write_parts(zip, name, &source, err);
}

static qvk_status get_rows(void *user, uint64_t offset, uint64_t bytes, void *buffer, const void **data,
                           qvk_error *err)
{
    const qvk__constant *constant = user;
    (void)data; /* the buffer */
    return constant->fill_rows(constant, offset / constant->row_bytes, (offset + bytes) / constant->row_bytes,
                               buffer, err);
}

static qvk_status write_made_rows(qvk__zip_writer *zip, const char *name, const qvk__constant *constant,
                                  qvk_error *err)
{
    const qvk__zip_source source = {.bytes = constant->bytes,
                                    .grain = constant->row_bytes,
                                    .get = get_rows,
                                    .user = (void *)(uintptr_t)constant};
    return qvk__zip_entry_write_parts(zip, name, &source, err);
}

static qvk_status write_storage(const qvk__exported *program, qvk__zip_writer *zip,
                                const payload_table *table, const shared_bytes *storage, qvk_error *err)
{
    const qvk__constant *constant = storage->constant;
    char name[64];
    const void *bytes;
    qvk_status status;

    snprintf(name, sizeof name, "%s%s%ld", table->folder, table->prefix, (long)storage->file);
    if (!constant)
        return write_plain(zip, name, &program->file, storage->data, (uint64_t)(storage->end - storage->data),
                           err);
    if (constant->fill_rows)
        return write_made_rows(zip, name, constant, err);
    QVK__TRY(qvk__constant_bytes(constant, &bytes, err));
    status = write_plain(zip, name, &program->file, bytes, constant->bytes, err);
    qvk__constant_release(constant, bytes);
    return status;
}

static void write_config_entry(const qvk__exported *program, const payload_table *table,
                               const tensor_entry *payload, qvk__string *out)
{
    const qvk__value *value = &program->graph.values.data[payload->spec->value];
    const qvk__constant *constant = value->constant;
    const shared_bytes *storage = &table->storages[payload->storage];
    bool parameter = payload->spec->kind == QVK__INPUT_PARAMETER;
    int64_t offset = constant->strided ? constant->storage_offset : 0;

    if (payload->data)
        offset += (payload->data - storage->data) / (int64_t)qvk_dtype_bytes(value->desc.dtype);
    qvk__string_add(out, "\"");
    qvk__string_add_json(out, payload->spec->target);
    qvk__string_addf(out, "\": {\"path_name\": \"%s%ld\", \"is_param\": %s, \"use_pickle\": false, ",
                     table->prefix, (long)storage->file, parameter ? "true" : "false");
    qvk__string_add(out, "\"tensor_meta\": ");
    qvk__pt2_write_tensor_meta(program, &value->desc, NULL, constant->strided ? constant->strides : NULL,
                               offset, payload->spec->requires_grad, out);
    qvk__string_add(out, "}");
}

static qvk_status write_text(qvk__zip_writer *zip, const char *name, qvk__string *text, qvk_error *err)
{
    qvk_status status = text->failed ? qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory")
                                     : qvk__zip_entry_write(zip, name, text->data, text->count, err);
    free(text->data);
    return status;
}

static qvk_status write_table(const qvk__exported *program, qvk__zip_writer *zip, bool weights,
                              qvk_error *err)
{
    qvk__string config = {0};
    payload_table table = {0};
    qvk_status status;
    int32_t next = 0;

    QVK__TRY_GO(make_table(program, weights, &table, err));
    qvk__string_add(&config, "{\"config\": {");
    for (size_t i = 0; i < table.n_payloads; i++) {
        const shared_bytes *storage = &table.storages[table.payloads[i].storage];
        if (storage->file == next) {
            QVK__TRY_GO(write_storage(program, zip, &table, storage, err));
            next++;
        }
        qvk__string_add(&config, i ? ", " : "");
        write_config_entry(program, &table, &table.payloads[i], &config);
    }
    qvk__string_add(&config, "}}");
    status = write_text(zip,
                        weights ? "data/weights/model_weights_config.json"
                                : "data/constants/model_constants_config.json",
                        &config, err);
    config.data = NULL;
done:
    free(config.data);
    free_table(&table);
    return status;
}

/* ---- the archive --------------------------------------------------------------------------------------- */

/* torch's own is a hash of names and checksums too; it only has to differ where archives differ. */
static qvk_status write_serialization_id(qvk__zip_writer *zip, qvk_error *err)
{
    uint64_t names = 0, sums = 0;
    char text[64];

    for (size_t i = 0; i < zip->records.count; i++) {
        const qvk__zip_record *record = &zip->records.data[i];
        names = qvk__hash64(record->name, strlen(record->name), names);
        sums = qvk__hash64(&record->crc, sizeof record->crc, sums);
    }
    snprintf(text, sizeof text, "%020llu%020llu", (unsigned long long)names, (unsigned long long)sums);
    return qvk__zip_entry_write(zip, ".data/serialization_id", text, strlen(text), err);
}

static qvk_status write_constant_text(qvk__zip_writer *zip, const char *name, const char *text,
                                      qvk_error *err)
{
    return qvk__zip_entry_write(zip, name, text, strlen(text), err);
}

/* An entry that is made in memory. */
static qvk_status
write_made(const qvk__exported *program, qvk__zip_writer *zip, const char *name,
           qvk_status (*make)(const qvk__exported *program, qvk__string *out, qvk_error *err), qvk_error *err)
{
    qvk__string made = {0};
    qvk_status status = make(program, &made, err);

    if (status == QVK_OK)
        return write_text(zip, name, &made, err);
    free(made.data);
    return status;
}

static qvk_status write_archive(const qvk__exported *program, qvk__zip_writer *zip, qvk_error *err)
{
    QVK__TRY(write_table(program, zip, true, err));
    QVK__TRY(write_table(program, zip, false, err));
    QVK__TRY(write_made(program, zip, "models/model.json", qvk__pt2_write_document, err));
    QVK__TRY(write_made(program, zip, "data/sample_inputs/model.pt", qvk__pt2_write_samples, err));
    QVK__TRY(write_constant_text(zip, "archive_format", "pt2", err));
    QVK__TRY(write_constant_text(zip, "archive_version", "0", err));
    QVK__TRY(write_constant_text(zip, ".data/version", "6\n", err));
    QVK__TRY(write_constant_text(zip, "byteorder", "little", err));
    QVK__TRY(write_serialization_id(zip, err));
    return qvk__zip_write_directory(zip, err);
}

/* "dir/model.pt2" -> "model/". */
static char *root_of(const char *path)
{
    const char *base = strrchr(path, '/'), *dot;
    size_t length;
    char *root;

    base = base ? base + 1 : path;
    dot = strrchr(base, '.');
    length = dot && dot > base ? (size_t)(dot - base) : strlen(base);
    root = malloc(length + 2);
    if (root) {
        memcpy(root, base, length);
        memcpy(root + length, "/", 2);
    }
    return root;
}

qvk_status qvk__pt2_write(const qvk__exported *program, const char *path, qvk_error *err)
{
    char *root = root_of(path);
    qvk__zip_writer zip = {0};
    qvk__writer file = {.descriptor = -1};
    qvk_status status;

    QVK__CHECK_GO(root, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY_GO(qvk__exported_verify(program, err));
    QVK__TRY_GO(qvk__writer_open(path, &file, err));
    qvk__zip_writer_init(&zip, &file, NULL, root);
    QVK__TRY_GO(write_archive(program, &zip, err));
    QVK__TRY_GO(qvk__writer_commit(&file, err));
done:
    qvk__zip_writer_finish(&zip);
    qvk__writer_abandon(&file);
    free(root);
    if (status != QVK_OK && err && !qvk__starts_with(err->message, path))
        qvk__error_context(err, status, "%s", path);
    return status;
}
