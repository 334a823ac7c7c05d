/* External data (.ptd): a FlatTensor table of names and segments. */
#include "program/pte_reader.h"

/* The same first bytes as a .pte, with a header of its own: "FH01", its length, then four 64-bit numbers. */
enum {
    HEADER_AT = 8,
    HEADER_LENGTH_AT = 12,
    FLATBUFFER_AT = 16, /* bytes the header took when it was put between bytes 8 and 9 of the flatbuffer */
    FLATBUFFER_BYTES_AT = 24,
    SEGMENT_BASE_AT = 32,
    SEGMENT_BYTES_AT = 40,
    HEAD_BYTES = 48,
    HEADER_LENGTH = 40
};

typedef QVK__VEC(qvk__named_data) named_entries;

static qvk_status read_head(const uint8_t *data, uint64_t bytes, uint64_t *flatbuffer_bytes,
                            qvk__span *segments, qvk_error *err)
{
    uint64_t base, size, end;

    if (bytes < HEAD_BYTES || memcmp(data + 4, qvk__ptd_schema.identifier, 4) != 0)
        return qvk__fail_at(err, QVK_BAD_FORMAT, 4, "not a .ptd data file (no \"FT01\" at byte 4)");
    if (memcmp(data + HEADER_AT, "FH01", 4) != 0 || qvk__load_u32(data + HEADER_LENGTH_AT) < HEADER_LENGTH)
        return qvk__fail_at(err, QVK_BAD_FORMAT, HEADER_AT, "data file without its \"FH01\" header");
    if (!qvk__add_u64(qvk__load_u64(data + FLATBUFFER_AT), qvk__load_u64(data + FLATBUFFER_BYTES_AT),
                      flatbuffer_bytes) ||
        *flatbuffer_bytes > bytes)
        return qvk__fail_at(err, QVK_BAD_FORMAT, FLATBUFFER_BYTES_AT, "data file is truncated");
    base = qvk__load_u64(data + SEGMENT_BASE_AT);
    size = qvk__load_u64(data + SEGMENT_BYTES_AT);
    if (!qvk__add_u64(base, size, &end) || end > bytes)
        return qvk__fail_at(err, QVK_BAD_FORMAT, SEGMENT_BASE_AT, "data file is truncated");
    *segments = (qvk__span){data + base, size};
    return QVK_OK;
}

static qvk_status read_segment(qvk__fb_vector segments, uint32_t index, qvk__span all, qvk__span *out,
                               qvk_error *err)
{
    qvk__fb_table segment;
    uint64_t offset, bytes;

    QVK__CHECK(index < segments.count, err, QVK_BAD_FORMAT, "segment %u of %u", index, segments.count);
    segment = qvk__fb_child_at(segments, index);
    offset = qvk__fb_u64(segment, PTD_SEGMENT_OFFSET, 0);
    bytes = qvk__fb_u64(segment, PTD_SEGMENT_SIZE, 0);
    QVK__CHECK(offset <= all.bytes && bytes <= all.bytes - offset, err, QVK_BAD_FORMAT,
               "segment %u runs past the end of the data", index);
    *out = (qvk__span){all.data + offset, bytes};
    return QVK_OK;
}

/* What a file has already keeps its place: data may be both in the program and beside it. */
static qvk_status read_entries(qvk__fb_table root, qvk__span all, const qvk__program *program,
                               named_entries *out, qvk_error *err)
{
    qvk__fb_vector segments = qvk__fb_children(root, PTD_FLAT_TENSOR_SEGMENTS);
    qvk__fb_vector entries = qvk__fb_children(root, PTD_FLAT_TENSOR_NAMED_DATA);

    for (uint32_t i = 0; i < entries.count; i++) {
        qvk__fb_table entry = qvk__fb_child_at(entries, i);
        qvk__named_data named = {.key = qvk__fb_string(entry, PTD_NAMED_DATA_KEY)};
        qvk__span span;

        QVK__CHECK(named.key, err, QVK_BAD_FORMAT, "named data %u has no key", i);
        QVK__TRY(read_segment(segments, qvk__fb_u32(entry, PTD_NAMED_DATA_SEGMENT, 0), all, &span, err));
        if (qvk__program_find(program, named.key))
            continue;
        named.data = span.data;
        named.bytes = span.bytes;
        QVK__CHECK(QVK__VEC_PUSH(out, named), err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

qvk_status qvk__ptd_read(const uint8_t *data, uint64_t bytes, qvk__program *program, qvk_error *err)
{
    uint64_t flatbuffer_bytes = 0;
    named_entries entries = {0};
    qvk_status status = QVK_OK;
    qvk__span all = {0};
    qvk__fb_table root;
    uint32_t version;

    QVK__TRY(read_head(data, bytes, &flatbuffer_bytes, &all, err));
    QVK__TRY(qvk__fb_verify(data, flatbuffer_bytes, &qvk__ptd_schema, 0, err));
    root = qvk__fb_root(data);
    version = qvk__fb_u32(root, PTD_FLAT_TENSOR_VERSION, 0);
    QVK__CHECK(version == 0, err, QVK_BAD_VERSION, "data file version %u; this reads version 0", version);
    status = read_entries(root, all, program, &entries, err);
    for (size_t i = 0; i < entries.count && status == QVK_OK; i++)
        if (!QVK__VEC_PUSH(&program->named, entries.data[i]))
            status = qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory");
    free(entries.data);
    return status == QVK_OK ? qvk__program_sort_named(program, err) : status;
}
