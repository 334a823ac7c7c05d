/* numpy .npy files. Source: numpy's "NPY format", versions 1.0 to 3.0. */
#include "qvk/npy.h"

#include <stdio.h>

#include "base/base.h"
#include "core/dtype.h"

enum { MAGIC_BYTES = 6, MAX_HEADER = 1 << 20, HEADER_ALIGN = 64 };
static const char magic[MAGIC_BYTES] = {(char)0x93, 'N', 'U', 'M', 'P', 'Y'};

typedef struct reader {
    const char *name;
    const char *start, *at, *end; /* of the header text */
    uint64_t base;                /* its place in the file */
} reader;

static qvk_status bad(const reader *it, const char *what, qvk_error *err)
{
    return qvk__fail_at(err, QVK_BAD_FORMAT, it->base + (uint64_t)(it->at - it->start), "%s: %s", it->name,
                        what);
}

static void skip_space(reader *it)
{
    while (it->at < it->end && strchr(" \t\n,", *it->at) && *it->at)
        it->at++;
}

static bool accept(reader *it, const char *text)
{
    const size_t length = strlen(text);
    if ((size_t)(it->end - it->at) < length || memcmp(it->at, text, length) != 0)
        return false;
    it->at += length;
    return true;
}

/* A quoted string; *text points into the header. */
static qvk_status read_string(reader *it, const char **text, size_t *length, qvk_error *err)
{
    const char quote = it->at < it->end ? *it->at : '\0';
    const char *stop;

    if (quote != '\'' && quote != '"')
        return bad(it, "a quoted text is missing in the header", err);
    it->at++;
    stop = memchr(it->at, quote, (size_t)(it->end - it->at));
    if (!stop)
        return bad(it, "a text in the header does not end", err);
    *text = it->at;
    *length = (size_t)(stop - it->at);
    it->at = stop + 1;
    return QVK_OK;
}

static qvk_status read_size(reader *it, int64_t *out, qvk_error *err)
{
    int64_t value = 0;
    if (it->at == it->end || *it->at < '0' || *it->at > '9')
        return bad(it, "a size in the shape is no number", err);
    for (; it->at < it->end && *it->at >= '0' && *it->at <= '9'; it->at++) {
        if (value > (INT64_MAX - 9) / 10)
            return bad(it, "a size in the shape is too large", err);
        value = value * 10 + (*it->at - '0');
    }
    *out = value;
    return QVK_OK;
}

static qvk_status read_shape(reader *it, qvk_tensor *out, qvk_error *err)
{
    if (!accept(it, "("))
        return bad(it, "the shape is no tuple", err);
    out->rank = 0;
    for (skip_space(it); !accept(it, ")"); skip_space(it)) {
        int64_t size = 0;
        QVK__TRY(read_size(it, &size, err));
        QVK__CHECK(out->rank < QVK_MAX_RANK, err, QVK_UNSUPPORTED, "%s: more than %d dimensions", it->name,
                   QVK_MAX_RANK);
        out->sizes[out->rank++] = size;
    }
    return QVK_OK;
}

static qvk_status read_entry(reader *it, qvk_tensor *out, qvk_error *err)
{
    const char *key = "", *text = "";
    size_t key_length = 0, length = 0;

    QVK__TRY(read_string(it, &key, &key_length, err));
    skip_space(it);
    if (!accept(it, ":"))
        return bad(it, "a ':' is missing in the header", err);
    skip_space(it);
    if (key_length == 5 && memcmp(key, "descr", 5) == 0) {
        QVK__TRY(read_string(it, &text, &length, err));
        out->dtype = qvk__dtype_from_npy(text, length);
        QVK__CHECK(out->dtype != QVK_DTYPE_NONE, err, QVK_UNSUPPORTED, "%s: unsupported dtype '%.*s'",
                   it->name, (int)QVK__MIN(length, (size_t)32), text);
        return QVK_OK;
    }
    if (key_length == 13 && memcmp(key, "fortran_order", 13) == 0) {
        QVK__CHECK(!accept(it, "True"), err, QVK_UNSUPPORTED,
                   "%s: Fortran order; save it with numpy.ascontiguousarray", it->name);
        return accept(it, "False") ? QVK_OK : bad(it, "fortran_order is neither True nor False", err);
    }
    if (key_length == 5 && memcmp(key, "shape", 5) == 0)
        return read_shape(it, out, err);
    return bad(it, "an unknown entry in the header", err);
}

/* "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }" */
static qvk_status read_header(reader *it, qvk_tensor *out, qvk_error *err)
{
    *out = (qvk_tensor){.rank = -1};
    skip_space(it);
    if (!accept(it, "{"))
        return bad(it, "the header is no dictionary", err);
    for (skip_space(it); !accept(it, "}"); skip_space(it))
        QVK__TRY(read_entry(it, out, err));
    if (out->dtype == QVK_DTYPE_NONE || out->rank < 0)
        return bad(it, "the header lacks descr or shape", err);
    return QVK_OK;
}

/* Where the header text lies: *start and *length. */
static qvk_status find_header(const uint8_t *data, size_t n, const char *name, size_t *start, size_t *length,
                              qvk_error *err)
{
    const bool is_long = n > MAGIC_BYTES && data[MAGIC_BYTES] > 1;

    if (n < MAGIC_BYTES + 6 || memcmp(data, magic, MAGIC_BYTES) != 0)
        return qvk__fail_at(err, QVK_BAD_FORMAT, 0, "%s: not a .npy file", name);
    QVK__CHECK(data[MAGIC_BYTES] >= 1 && data[MAGIC_BYTES] <= 3, err, QVK_BAD_FORMAT,
               "%s: .npy version %d.%d", name, data[MAGIC_BYTES], data[MAGIC_BYTES + 1]);
    *start = MAGIC_BYTES + (is_long ? 6 : 4);
    *length = (size_t)data[8] | (size_t)data[9] << 8;
    if (is_long)
        *length |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    if (*length > MAX_HEADER || *length > n - *start)
        return qvk__fail_at(err, QVK_BAD_FORMAT, 8, "%s: the header ends outside the file", name);
    return QVK_OK;
}

qvk_status qvk_npy_parse(const void *bytes, size_t n_bytes, const char *name, qvk_tensor *out, qvk_error *err)
{
    size_t start = 0, length = 0, wanted;
    qvk_tensor tensor;
    reader it;

    QVK__CHECK(bytes && out, err, QVK_INVALID_ARGUMENT, "bytes and out must not be NULL");
    name = name ? name : "npy";
    QVK__TRY(find_header(bytes, n_bytes, name, &start, &length, err));
    it = (reader){.name = name, .start = (const char *)bytes + start, .base = start};
    it.at = it.start;
    it.end = it.start + length;
    QVK__TRY(read_header(&it, &tensor, err));
    wanted = qvk_tensor_bytes(&tensor);
    QVK__CHECK(qvk_tensor_numel(&tensor) >= 0 && wanted <= n_bytes - start - length, err, QVK_BAD_FORMAT,
               "%s: %zu bytes of data are too few for %s%s", name, n_bytes - start - length,
               qvk_dtype_name(tensor.dtype), qvk__shape_text(&tensor).text);
    tensor.data = qvk__alloc_zeroed(wanted, 1);
    QVK__CHECK(tensor.data, err, QVK_OUT_OF_MEMORY, "%s: out of memory for %zu bytes", name, wanted);
    if (wanted > 0)
        memcpy(tensor.data, (const uint8_t *)bytes + start + length, wanted);
    if (tensor.dtype == QVK_DTYPE_BOOL) /* any other byte would not be a bool in C */
        for (size_t i = 0; i < wanted; i++)
            ((uint8_t *)tensor.data)[i] = ((const uint8_t *)tensor.data)[i] != 0;
    *out = tensor;
    return QVK_OK;
}

qvk_status qvk_npy_load(const char *path, qvk_tensor *out, qvk_error *err)
{
    qvk__file file;
    qvk_status status;

    QVK__CHECK(path && out, err, QVK_INVALID_ARGUMENT, "path and out must not be NULL");
    QVK__TRY(qvk__file_map(path, &file, err));
    QVK__CHECK_GO(file.data, err, QVK_BAD_FORMAT, "%s: empty file", path);
    status = qvk_npy_parse(file.data, (size_t)file.bytes, path, out, err);
done:
    qvk__file_unmap(&file);
    return status;
}

/* Magic, version, header text, padded so that the data starts at a multiple of HEADER_ALIGN. */
static void write_header(const qvk_tensor *tensor, const char *descr, qvk__string *out)
{
    qvk__string text = {0};
    size_t length;
    char prefix[4] = {1, 0, 0, 0};

    qvk__string_addf(&text, "{'descr': '%s', 'fortran_order': False, 'shape': (", descr);
    for (int i = 0; i < tensor->rank; i++)
        qvk__string_addf(&text, i + 1 < tensor->rank ? "%lld, " : "%lld", (long long)tensor->sizes[i]);
    qvk__string_add(&text, tensor->rank == 1 ? ",), }" : "), }");
    while ((MAGIC_BYTES + 4 + text.count + 1) % HEADER_ALIGN != 0 && !text.failed)
        qvk__string_add(&text, " ");
    qvk__string_add(&text, "\n");
    length = text.count;
    prefix[2] = (char)(length & 0xff);
    prefix[3] = (char)(length >> 8);
    out->failed =
        text.failed || !qvk__vec_reserve((void **)&out->data, &out->capacity, MAGIC_BYTES + 4 + length, 1);
    if (!out->failed) {
        memcpy(out->data, magic, MAGIC_BYTES);
        memcpy(out->data + MAGIC_BYTES, prefix, 4);
        memcpy(out->data + MAGIC_BYTES + 4, text.data, length);
        out->count = MAGIC_BYTES + 4 + length;
    }
    free(text.data);
}

qvk_status qvk_npy_save(const char *path, const qvk_tensor *tensor, qvk_error *err)
{
    const char *descr;
    qvk__string header = {0};
    qvk__writer writer = {.descriptor = -1};
    qvk_status status = QVK_OK;

    QVK__CHECK(path && tensor, err, QVK_INVALID_ARGUMENT, "path and tensor must not be NULL");
    descr = qvk__dtype_npy(tensor->dtype);
    QVK__CHECK(descr, err, QVK_UNSUPPORTED, "%s: numpy has no %s", path, qvk_dtype_name(tensor->dtype));
    QVK__CHECK(qvk_tensor_numel(tensor) >= 0 && (tensor->data || qvk_tensor_numel(tensor) == 0), err,
               QVK_INVALID_ARGUMENT, "%s: the tensor has no data or a bad shape", path);
    write_header(tensor, descr, &header);
    QVK__CHECK_GO(!header.failed, err, QVK_OUT_OF_MEMORY, "%s: out of memory", path);
    QVK__TRY_GO(qvk__writer_open(path, &writer, err));
    QVK__TRY_GO(qvk__writer_add(&writer, header.data, header.count, err));
    QVK__TRY_GO(qvk__writer_add(&writer, tensor->data, qvk_tensor_bytes(tensor), err));
    QVK__TRY_GO(qvk__writer_commit(&writer, err));
done:
    qvk__writer_abandon(&writer);
    free(header.data);
    return status;
}

void qvk_tensor_free(qvk_tensor *tensor)
{
    if (!tensor)
        return;
    free(tensor->data);
    memset(tensor, 0, sizeof *tensor);
}
