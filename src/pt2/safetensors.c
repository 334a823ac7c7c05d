/* Reading safetensors files. */
#include "pt2/safetensors.h"

#include "core/dtype.h"
#include "pt2/json.h"

enum { LENGTH_BYTES = 8, MAX_HEADER_BYTES = 100 << 20 /* the format's own limit */ };

typedef struct type_row {
    const char *name;
    qvk_dtype dtype;
    uint8_t bits;
} type_row;

static const type_row types[] = {
    {"F32", QVK_DTYPE_F32, 32},     {"F16", QVK_DTYPE_F16, 16},     {"BF16", QVK_DTYPE_BF16, 16},
    {"F64", QVK_DTYPE_F64, 64},     {"I8", QVK_DTYPE_I8, 8},        {"U8", QVK_DTYPE_U8, 8},
    {"I16", QVK_DTYPE_I16, 16},     {"I32", QVK_DTYPE_I32, 32},     {"I64", QVK_DTYPE_I64, 64},
    {"BOOL", QVK_DTYPE_BOOL, 8},    {"U16", QVK_DTYPE_NONE, 16},    {"U32", QVK_DTYPE_NONE, 32},
    {"U64", QVK_DTYPE_NONE, 64},    {"F8_E4M3", QVK_DTYPE_NONE, 8}, {"F8_E5M2", QVK_DTYPE_NONE, 8},
    {"F8_E8M0", QVK_DTYPE_NONE, 8}, {"C64", QVK_DTYPE_NONE, 64},    {"F4", QVK_DTYPE_NONE, 4},
};

static const type_row *find_type(const char *name)
{
    for (size_t i = 0; i < QVK__COUNT(types); i++)
        if (strcmp(types[i].name, name) == 0)
            return &types[i];
    return NULL;
}

/* ---- tensors ------------------------------------------------------------------------------------------- */

static qvk_status read_shape(const qvk__json *entry, qvk_tensor *out, qvk_error *err)
{
    qvk__json shape;
    size_t rank;

    QVK__TRY(qvk__json_get_array(entry, "shape", &shape, &rank, err));
    if (rank > QVK_MAX_RANK)
        return qvk__json_fail(&shape, err, QVK_UNSUPPORTED, "%zu dimensions; at most %d are possible", rank,
                              QVK_MAX_RANK);
    out->rank = (int32_t)rank;
    for (size_t i = 0; i < rank; i++) {
        qvk__json size = qvk__json_element(&shape, i);
        QVK__TRY(qvk__json_int(&size, &out->sizes[i], err));
    }
    if (qvk_tensor_numel(out) < 0)
        return qvk__json_fail(&shape, err, QVK_BAD_FORMAT, "the shape is impossible");
    return QVK_OK;
}

/* [begin, end) within the data, which must be exactly what dtype and shape need. */
static qvk_status read_offsets(const qvk__json *entry, const type_row *type, const qvk_tensor *tensor,
                               uint64_t data_bytes, uint64_t *begin, uint64_t *bytes, qvk_error *err)
{
    int64_t range[2] = {0, 0};
    qvk__json offsets;
    uint64_t bits;
    size_t count;

    QVK__TRY(qvk__json_get_array(entry, "data_offsets", &offsets, &count, err));
    if (count != 2)
        return qvk__json_fail(&offsets, err, QVK_BAD_FORMAT, "two numbers expected");
    for (size_t i = 0; i < 2; i++) {
        qvk__json offset = qvk__json_element(&offsets, i);
        QVK__TRY(qvk__json_int(&offset, &range[i], err));
    }
    if (range[0] < 0 || range[1] < range[0] || (uint64_t)range[1] > data_bytes)
        return qvk__json_fail(&offsets, err, QVK_BAD_FORMAT, "outside the file's %llu bytes of data",
                              (unsigned long long)data_bytes);
    *begin = (uint64_t)range[0];
    *bytes = (uint64_t)(range[1] - range[0]);
    if (!qvk__mul_u64((uint64_t)qvk_tensor_numel(tensor), type->bits, &bits) || bits % 8 != 0 ||
        bits / 8 != *bytes)
        return qvk__json_fail(&offsets, err, QVK_BAD_FORMAT, "%llu bytes for %s%s",
                              (unsigned long long)*bytes, type->name, qvk__shape_text(tensor).text);
    return QVK_OK;
}

static qvk_status read_tensor(qvk__safetensors *file, const qvk__json *entry, const uint8_t *data,
                              uint64_t data_bytes, qvk_error *err)
{
    qvk__safetensor made = {0};
    const type_row *type;
    const char *name;
    uint64_t begin = 0;

    QVK__TRY(qvk__json_get_string(entry, "dtype", &name, err));
    type = find_type(name);
    if (!type)
        return qvk__json_fail(entry, err, QVK_UNSUPPORTED, "dtype %.32s", name);
    QVK__TRY(read_shape(entry, &made.tensor, err));
    QVK__TRY(read_offsets(entry, type, &made.tensor, data_bytes, &begin, &made.bytes, err));
    made.tensor.dtype = type->dtype;
    made.tensor.data = (void *)(uintptr_t)(data + begin);
    made.dtype_name = type->name;
    made.name = qvk__arena_strdup(&file->arena, entry->key);
    QVK__CHECK(made.name && qvk__map_set(&file->index, made.name, (int64_t)file->tensors.count) &&
                   QVK__VEC_PUSH(&file->tensors, made),
               err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk_status read_metadata(qvk__safetensors *file, const qvk__json *metadata, qvk_error *err)
{
    void *iterator = NULL;
    qvk__json member;

    while (qvk__json_next(metadata, &iterator, &member)) {
        const char *value, *key = qvk__arena_strdup(&file->arena, member.key);
        QVK__TRY(qvk__json_string(&member, &value, err));
        value = qvk__arena_strdup(&file->arena, value);
        QVK__CHECK(key && value && QVK__VEC_PUSH(&file->metadata, key) &&
                       QVK__VEC_PUSH(&file->metadata, value),
                   err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

/* ---- the file ------------------------------------------------------------------------------------------ */

static qvk_status read_header(qvk__safetensors *file, const qvk__json *header, uint64_t start, qvk_error *err)
{
    void *iterator = NULL;
    qvk__json member;

    while (qvk__json_next(header, &iterator, &member)) {
        if (strcmp(member.key, "__metadata__") == 0)
            QVK__TRY(read_metadata(file, &member, err));
        else
            QVK__TRY(read_tensor(file, &member, file->file.data + start, file->file.bytes - start, err));
    }
    return QVK_OK;
}

qvk_status qvk__safetensors_read(const char *path, qvk__safetensors *out, qvk_error *err)
{
    qvk__safetensors file = {0};
    uint64_t length = 0;
    qvk__json header;
    qvk_status status;

    QVK__TRY(qvk__file_map(path, &file.file, err));
    for (int i = 0; i < LENGTH_BYTES && file.file.bytes >= LENGTH_BYTES; i++)
        length |= (uint64_t)file.file.data[i] << (8 * i);
    QVK__CHECK_GO(file.file.bytes >= LENGTH_BYTES && length <= MAX_HEADER_BYTES &&
                      length <= file.file.bytes - LENGTH_BYTES,
                  err, QVK_BAD_FORMAT, "%s: not a safetensors file, or cut short", path);
    QVK__TRY_GO(qvk__json_parse(file.file.data + LENGTH_BYTES, length, path, &header, err));
    status = read_header(&file, &header, LENGTH_BYTES + length, err);
    qvk__json_finish(&header);
    if (status == QVK_OK) {
        *out = file;
        return QVK_OK;
    }
done:
    qvk__safetensors_finish(&file);
    return status;
}

void qvk__safetensors_finish(qvk__safetensors *file)
{
    free(file->tensors.data);
    free(file->metadata.data);
    qvk__map_free(&file->index);
    qvk__arena_free(&file->arena);
    qvk__file_unmap(&file->file);
    memset(file, 0, sizeof *file);
}

const qvk__safetensor *qvk__safetensors_find(const qvk__safetensors *file, const char *name)
{
    int64_t index;
    return qvk__map_get(&file->index, name, &index) ? &file->tensors.data[index] : NULL;
}

/* ---- inspection ---------------------------------------------------------------------------------------- */

static uint64_t total_bytes(const qvk__safetensors *file)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < file->tensors.count; i++)
        bytes += file->tensors.data[i].bytes;
    return bytes;
}

void qvk__safetensors_print(const qvk__safetensors *file, qvk__string *out)
{
    qvk__string_addf(out, "safetensors: %zu tensors, %llu bytes\n", file->tensors.count,
                     (unsigned long long)total_bytes(file));
    for (size_t i = 0; i + 1 < file->metadata.count; i += 2)
        qvk__string_addf(out, "  %s: %s\n", file->metadata.data[i], file->metadata.data[i + 1]);
    for (size_t i = 0; i < file->tensors.count; i++) {
        const qvk__safetensor *tensor = &file->tensors.data[i];
        qvk__string_addf(out, "  %s: %s%s, %llu bytes\n", tensor->name, tensor->dtype_name,
                         qvk__shape_text(&tensor->tensor).text, (unsigned long long)tensor->bytes);
    }
}

void qvk__safetensors_print_json(const qvk__safetensors *file, qvk__string *out)
{
    qvk__string_addf(out, "{\"format\": \"safetensors\", \"bytes\": %llu, \"metadata\": {",
                     (unsigned long long)total_bytes(file));
    for (size_t i = 0; i + 1 < file->metadata.count; i += 2) {
        qvk__string_add(out, i ? ", " : "");
        qvk__string_add_quoted(out, file->metadata.data[i]);
        qvk__string_add(out, ": ");
        qvk__string_add_quoted(out, file->metadata.data[i + 1]);
    }
    qvk__string_add(out, "}, \"tensors\": [");
    for (size_t i = 0; i < file->tensors.count; i++) {
        const qvk__safetensor *tensor = &file->tensors.data[i];
        qvk__string_add(out, i ? ", {\"name\": " : "{\"name\": ");
        qvk__string_add_quoted(out, tensor->name);
        qvk__string_addf(out, ", \"dtype\": \"%s\", \"shape\": %s, \"bytes\": %llu}", tensor->dtype_name,
                         qvk__shape_text(&tensor->tensor).text, (unsigned long long)tensor->bytes);
    }
    qvk__string_add(out, "]}\n");
}
