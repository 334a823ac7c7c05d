/* Zip archives as torch writes them. Source: PKWARE's APPNOTE 6.3.9; caffe2/serialize/inline_container.cc. */
#include "pt2/zip_write.h"

#include "pt2/zip_crc.h"

enum {
    ALIGNMENT = 64,
    LOCAL_HEADER_BYTES = 30,
    FLAGS = 0x0808, /* sizes and checksum follow the data; names are UTF-8 */
    VERSION_PLAIN = 20,
    VERSION_ZIP64 = 45,
    PART_BYTES = 1 << 19, /* stays in a processor's own cache from the source to the file */
    DATE_1980 = 0x21      /* 1 January 1980: archives of equal programs are equal */
};

/* ---- little-endian fields ------------------------------------------------------------------------------ */

typedef struct fields {
    uint8_t bytes[128];
    size_t count;
} fields;

static void put(fields *to, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++)
        to->bytes[to->count++] = (uint8_t)(value >> (8 * i));
}

static qvk_status add_raw(qvk__zip_writer *zip, const void *data, uint64_t bytes, qvk_error *err)
{
    zip->position += bytes;
    if (zip->file)
        return qvk__writer_add(zip->file, data, bytes, err);
    QVK__CHECK(qvk__vec_reserve((void **)&zip->memory->data, &zip->memory->capacity,
                                zip->memory->count + (size_t)bytes + 1, 1),
               err, QVK_OUT_OF_MEMORY, "out of memory");
    if (bytes > 0)
        memcpy(zip->memory->data + zip->memory->count, data, (size_t)bytes);
    zip->memory->count += (size_t)bytes;
    return QVK_OK;
}

static qvk_status add_fields(qvk__zip_writer *zip, const fields *from, qvk_error *err)
{
    return add_raw(zip, from->bytes, from->count, err);
}

static bool is_big(uint64_t value)
{
    return value >= UINT32_MAX;
}

static uint64_t clipped(uint64_t value)
{
    return QVK__MIN(value, (uint64_t)UINT32_MAX);
}

/* ---- entries ------------------------------------------------------------------------------------------- */

void qvk__zip_writer_init(qvk__zip_writer *zip, qvk__writer *file, qvk__string *memory, const char *root)
{
    memset(zip, 0, sizeof *zip);
    zip->file = file;
    zip->memory = memory;
    zip->root = root;
}

void qvk__zip_writer_finish(qvk__zip_writer *zip)
{
    for (size_t i = 0; i < zip->records.count; i++)
        free(zip->records.data[i].name);
    free(zip->records.data);
    memset(zip, 0, sizeof *zip);
}

static qvk_status add_record(qvk__zip_writer *zip, const char *name, uint64_t bytes, qvk_error *err)
{
    size_t root = strlen(zip->root), length = strlen(name);
    qvk__zip_record record = {malloc(root + length + 1), zip->position, bytes, 0};

    QVK__CHECK(root + length <= UINT16_MAX / 2, err, QVK_INVALID_ARGUMENT, "%s: the name is too long", name);
    QVK__CHECK(record.name, err, QVK_OUT_OF_MEMORY, "out of memory");
    memcpy(record.name, zip->root, root);
    memcpy(record.name + root, name, length + 1);
    if (!QVK__VEC_PUSH(&zip->records, record)) {
        free(record.name);
        return qvk__fail(err, QVK_OUT_OF_MEMORY, "out of memory");
    }
    return QVK_OK;
}

/* Extra fields of a local header: sizes when they are big, then padding ("FB") up to the alignment. */
static qvk_status add_local_extra(qvk__zip_writer *zip, size_t name_bytes, bool big, qvk_error *err)
{
    static const uint8_t padding[ALIGNMENT] =
        "ZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZZ";
    uint64_t zip64 = big ? 20 : 0;
    uint64_t start =
        zip->position + 4 + name_bytes + zip64 + 4; /* 2 + 2 bytes of the header are still missing */
    uint64_t pad = qvk__round_up(start, ALIGNMENT) - start;
    fields head = {.count = 0};

    put(&head, name_bytes, 2);
    put(&head, zip64 + 4 + pad, 2);
    QVK__TRY(add_fields(zip, &head, err));
    QVK__TRY(add_raw(zip, zip->records.data[zip->records.count - 1].name, name_bytes, err));
    head.count = 0;
    if (big) {
        put(&head, 1, 2);
        put(&head, 16, 2);
        put(&head, 0, 8);
        put(&head, 0, 8);
    }
    put(&head, 'F' | 'B' << 8, 2);
    put(&head, pad, 2);
    QVK__TRY(add_fields(zip, &head, err));
    return add_raw(zip, padding, pad, err);
}

qvk_status qvk__zip_begin(qvk__zip_writer *zip, const char *name, uint64_t bytes, qvk_error *err)
{
    bool big = is_big(bytes);
    fields head = {.count = 0};

    QVK__CHECK(!zip->open, err, QVK_INTERNAL, "%s: the entry before it is not ended", name);
    QVK__TRY(add_record(zip, name, bytes, err));
    put(&head, 0x04034b50, 4);
    put(&head, big ? VERSION_ZIP64 : VERSION_PLAIN, 2);
    put(&head, FLAGS, 2);
    put(&head, 0, 2); /* stored */
    put(&head, 0, 2);
    put(&head, DATE_1980, 2);
    put(&head, 0, 4); /* checksum and sizes: in the descriptor */
    put(&head, big ? UINT32_MAX : 0, 4);
    put(&head, big ? UINT32_MAX : 0, 4);
    QVK__TRY(add_fields(zip, &head, err));
    QVK__TRY(add_local_extra(zip, strlen(zip->records.data[zip->records.count - 1].name), big, err));
    zip->records.data[zip->records.count - 1].bytes = 0;
    zip->expected = bytes;
    zip->open = true;
    return QVK_OK;
}

qvk_status qvk__zip_add(qvk__zip_writer *zip, const void *data, uint64_t bytes, qvk_error *err)
{
    qvk__zip_record *record = &zip->records.data[zip->records.count - 1];

    record->crc = qvk__zip_crc(record->crc, data, bytes);
    record->bytes += bytes;
    return add_raw(zip, data, bytes, err);
}

qvk_status qvk__zip_end(qvk__zip_writer *zip, qvk_error *err)
{
    const qvk__zip_record *record = &zip->records.data[zip->records.count - 1];
    int width = is_big(record->bytes) ? 8 : 4;
    fields descriptor = {.count = 0};

    QVK__CHECK(record->bytes == zip->expected, err, QVK_INTERNAL, "%s: %llu bytes announced, %llu written",
               record->name, (unsigned long long)zip->expected, (unsigned long long)record->bytes);
    put(&descriptor, 0x08074b50, 4);
    put(&descriptor, record->crc, 4);
    put(&descriptor, record->bytes, width);
    put(&descriptor, record->bytes, width);
    zip->open = false;
    return add_fields(zip, &descriptor, err);
}

qvk_status qvk__zip_entry_write(qvk__zip_writer *zip, const char *name, const void *data, uint64_t bytes,
                                qvk_error *err)
{
    QVK__TRY(qvk__zip_begin(zip, name, bytes, err));
    QVK__TRY(qvk__zip_add(zip, data, bytes, err));
    return qvk__zip_end(zip, err);
}

/* ---- entries in parts ------------------------------------------------------------------------------------ */

typedef struct parts_job {
    qvk__zip_writer *zip;
    const qvk__zip_source *source;
    uint64_t start;      /* of the data, in the file */
    uint64_t part_bytes; /* of all parts but the last */
    uint32_t *crcs;      /* one a part */
} parts_job;

static uint64_t bytes_of_part(const parts_job *job, uint64_t part)
{
    return QVK__MIN(job->part_bytes, job->source->bytes - part * job->part_bytes);
}

static qvk_status write_parts(void *user, uint64_t begin, uint64_t end, qvk_error *err)
{
    const parts_job *job = user;
    void *buffer = malloc((size_t)job->part_bytes);
    qvk_status status = QVK_OK;

    QVK__CHECK(buffer, err, QVK_OUT_OF_MEMORY, "out of memory");
    for (uint64_t part = begin; part < end; part++) {
        const uint64_t offset = part * job->part_bytes, bytes = bytes_of_part(job, part);
        const void *data = buffer;
        QVK__TRY_GO(job->source->get(job->source->user, offset, bytes, buffer, &data, err));
        job->crcs[part] = qvk__zip_crc(0, data, bytes);
        QVK__TRY_GO(qvk__writer_patch(job->zip->file, job->start + offset, data, bytes, err));
    }
done:
    free(buffer);
    return status;
}

qvk_status qvk__zip_entry_write_parts(qvk__zip_writer *zip, const char *name, const qvk__zip_source *source,
                                      qvk_error *err)
{
    const uint64_t part_bytes = qvk__round_up(PART_BYTES, source->grain);
    const uint64_t n = qvk__div_up(source->bytes, part_bytes);
    parts_job job = {.zip = zip, .source = source, .part_bytes = part_bytes};
    qvk__zip_record *record;
    qvk_status status = QVK_OK;

    QVK__TRY(qvk__zip_begin(zip, name, source->bytes, err));
    record = &zip->records.data[zip->records.count - 1];
    job.start = zip->position;
    job.crcs = qvk__alloc_zeroed(n + 1, sizeof *job.crcs);
    QVK__CHECK_GO(job.crcs, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY_GO(qvk__writer_skip(zip->file, source->bytes, err));
    zip->position += source->bytes;
    QVK__TRY_GO(qvk__parallel_try(n, 1, write_parts, &job, err));
    for (uint64_t part = 0; part < n; part++)
        record->crc = qvk__zip_crc_join(record->crc, job.crcs[part], bytes_of_part(&job, part));
    record->bytes = source->bytes;
    QVK__TRY_GO(qvk__zip_end(zip, err));
done:
    free(job.crcs);
    return status;
}

/* ---- directory ----------------------------------------------------------------------------------------- */

static qvk_status add_directory_entry(qvk__zip_writer *zip, const qvk__zip_record *record, qvk_error *err)
{
    bool big_size = is_big(record->bytes), big_offset = is_big(record->offset);
    int extra = (big_size ? 16 : 0) + (big_offset ? 8 : 0);
    int version = extra ? VERSION_ZIP64 : VERSION_PLAIN;
    fields head = {.count = 0};

    put(&head, 0x02014b50, 4);
    put(&head, (uint64_t)version, 2); /* made by */
    put(&head, (uint64_t)version, 2); /* needed */
    put(&head, FLAGS, 2);
    put(&head, 0, 2);
    put(&head, 0, 2);
    put(&head, DATE_1980, 2);
    put(&head, record->crc, 4);
    put(&head, clipped(record->bytes), 4);
    put(&head, clipped(record->bytes), 4);
    put(&head, strlen(record->name), 2);
    put(&head, extra ? (uint64_t)extra + 4 : 0, 2);
    put(&head, 0, 2); /* comment */
    put(&head, 0, 2); /* disk */
    put(&head, 0, 2); /* attributes */
    put(&head, 0, 4);
    put(&head, clipped(record->offset), 4);
    QVK__TRY(add_fields(zip, &head, err));
    QVK__TRY(add_raw(zip, record->name, strlen(record->name), err));
    head.count = 0;
    if (extra) {
        put(&head, 1, 2);
        put(&head, (uint64_t)extra, 2);
    }
    if (big_size) {
        put(&head, record->bytes, 8);
        put(&head, record->bytes, 8);
    }
    if (big_offset)
        put(&head, record->offset, 8);
    return add_fields(zip, &head, err);
}

/* ZIP64 end record, its locator, and the classic end record: torch always writes all three. */
static qvk_status add_end(qvk__zip_writer *zip, uint64_t start, uint64_t bytes, qvk_error *err)
{
    uint64_t count = zip->records.count, end = zip->position;
    fields tail = {.count = 0};

    put(&tail, 0x06064b50, 4);
    put(&tail, 44, 8); /* what follows of this record */
    put(&tail, VERSION_ZIP64, 2);
    put(&tail, VERSION_ZIP64, 2);
    put(&tail, 0, 4);
    put(&tail, 0, 4);
    put(&tail, count, 8);
    put(&tail, count, 8);
    put(&tail, bytes, 8);
    put(&tail, start, 8);
    put(&tail, 0x07064b50, 4);
    put(&tail, 0, 4);
    put(&tail, end, 8);
    put(&tail, 1, 4);
    put(&tail, 0x06054b50, 4);
    put(&tail, 0, 2);
    put(&tail, 0, 2);
    put(&tail, QVK__MIN(count, (uint64_t)UINT16_MAX), 2);
    put(&tail, QVK__MIN(count, (uint64_t)UINT16_MAX), 2);
    put(&tail, clipped(bytes), 4);
    put(&tail, clipped(start), 4);
    put(&tail, 0, 2);
    return add_fields(zip, &tail, err);
}

qvk_status qvk__zip_write_directory(qvk__zip_writer *zip, qvk_error *err)
{
    uint64_t start = zip->position;

    for (size_t i = 0; i < zip->records.count; i++)
        QVK__TRY(add_directory_entry(zip, &zip->records.data[i], err));
    return add_end(zip, start, zip->position - start, err);
}
