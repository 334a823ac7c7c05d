/*
 * Zip archives in memory. The central directory says where everything is, and is checked before anything is
 * used; what torch writes is stored, and used in place. Source: PKWARE's APPNOTE 6.3.9.
 */
#include "pt2/zip_read.h"

#define ZLIB_CONST
#include <zlib.h>

#include "pt2/zip_crc.h"

enum {
    END_BYTES = 22, /* the records without their variable parts */
    LOCATOR_BYTES = 20,
    END64_BYTES = 56,
    DIRECTORY_BYTES = 46,
    LOCAL_BYTES = 30,
    MAX_COMMENT_BYTES = 65535,
    MAX_NAME_BYTES = 4096,
    EXTRA_ZIP64 = 1,
    FLAG_ENCRYPTED = 1,
    METHOD_STORED = 0,
    METHOD_DEFLATED = 8,
    MAX_DEFLATE_RATIO = 1040 /* deflate cannot do better; more is a lie about the size */
};
static const uint32_t end_signature = 0x06054b50, locator_signature = 0x07064b50,
                      end64_signature = 0x06064b50, directory_signature = 0x02014b50,
                      local_signature = 0x04034b50;
static const uint64_t max_inflated = (uint64_t)4 << 30; /* per archive */

/* ---- little-endian fields; the caller has checked that they are there ---------------------------------- */

static uint64_t field(const uint8_t *at, int bytes)
{
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++)
        value |= (uint64_t)at[i] << (8 * i);
    return value;
}

static bool has_record(const qvk__zip *zip, uint64_t at, uint64_t bytes, uint32_t signature)
{
    return at <= zip->bytes && bytes <= zip->bytes - at && field(zip->data + at, 4) == signature;
}

/* ---- the end: where the directory is ------------------------------------------------------------------- */

typedef struct directory {
    uint64_t offset, bytes, count;
} directory;

/* The last end record whose comment reaches to the end of the file. */
static bool find_end(const qvk__zip *zip, uint64_t *out)
{
    uint64_t most = QVK__MIN(zip->bytes, (uint64_t)END_BYTES + MAX_COMMENT_BYTES);

    for (uint64_t back = END_BYTES; back <= most; back++) {
        uint64_t at = zip->bytes - back;
        if (has_record(zip, at, END_BYTES, end_signature) &&
            field(zip->data + at + 20, 2) == back - END_BYTES) {
            *out = at;
            return true;
        }
    }
    return false;
}

static qvk_status find_directory(const qvk__zip *zip, directory *out, qvk_error *err)
{
    uint64_t end, end64;
    const uint8_t *record;

    QVK__CHECK(find_end(zip, &end), err, QVK_BAD_FORMAT, "%s: not a zip archive (or cut short)", zip->source);
    record = zip->data + end;
    out->count = field(record + 10, 2);
    out->bytes = field(record + 12, 4);
    out->offset = field(record + 16, 4);
    if (end >= LOCATOR_BYTES && has_record(zip, end - LOCATOR_BYTES, LOCATOR_BYTES, locator_signature)) {
        end64 = field(zip->data + end - LOCATOR_BYTES + 8, 8);
        QVK__CHECK(has_record(zip, end64, END64_BYTES, end64_signature), err, QVK_BAD_FORMAT,
                   "%s: the archive's ZIP64 end record is not where it should be", zip->source);
        record = zip->data + end64;
        out->count = field(record + 32, 8);
        out->bytes = field(record + 40, 8);
        out->offset = field(record + 48, 8);
    }
    QVK__CHECK(out->offset <= end && out->bytes <= end - out->offset, err, QVK_BAD_FORMAT,
               "%s: the archive's directory does not fit into the file (cut short?)", zip->source);
    QVK__CHECK(out->count > 0, err, QVK_BAD_FORMAT, "%s: the archive is empty", zip->source);
    return QVK_OK;
}

/* ---- entries of the directory -------------------------------------------------------------------------- */

/* What a directory entry says. */
typedef struct claim {
    const uint8_t *name;
    uint64_t name_bytes, packed, unpacked, offset;
    uint32_t crc;
    int flags, method;
} claim;

/* Values that do not fit 32 bits are in an extra field, in this order, only those that do not fit. */
static bool read_zip64(const uint8_t *extra, uint64_t bytes, claim *c)
{
    uint64_t *const wide[] = {&c->unpacked, &c->packed, &c->offset};

    while (bytes >= 4) {
        uint64_t id = field(extra, 2), size = field(extra + 2, 2);
        if (size > bytes - 4)
            return false;
        extra += 4;
        for (size_t i = 0; id == EXTRA_ZIP64 && i < QVK__COUNT(wide); i++) {
            if (*wide[i] != UINT32_MAX)
                continue;
            if (size < 8)
                return false;
            *wide[i] = field(extra, 8);
            extra += 8;
            size -= 8;
            bytes -= 8;
        }
        extra += size;
        bytes -= 4 + size;
    }
    return true;
}

/* The entry at *at, which moves behind it. */
static qvk_status read_claim(const qvk__zip *zip, uint64_t *at, uint64_t limit, claim *out, qvk_error *err)
{
    const uint8_t *record = zip->data + *at;
    uint64_t left = limit - *at, extra_bytes, comment_bytes;

    QVK__CHECK(left >= DIRECTORY_BYTES && field(record, 4) == directory_signature, err, QVK_BAD_FORMAT,
               "%s: entry %zu of the archive's directory is broken", zip->source, zip->entries.count);
    out->flags = (int)field(record + 8, 2);
    out->method = (int)field(record + 10, 2);
    out->crc = (uint32_t)field(record + 16, 4);
    out->packed = field(record + 20, 4);
    out->unpacked = field(record + 24, 4);
    out->name_bytes = field(record + 28, 2);
    extra_bytes = field(record + 30, 2);
    comment_bytes = field(record + 32, 2);
    out->offset = field(record + 42, 4);
    out->name = record + DIRECTORY_BYTES;
    QVK__CHECK(out->name_bytes + extra_bytes + comment_bytes <= left - DIRECTORY_BYTES &&
                   read_zip64(out->name + out->name_bytes, extra_bytes, out),
               err, QVK_BAD_FORMAT, "%s: entry %zu of the archive's directory is broken", zip->source,
               zip->entries.count);
    *at += DIRECTORY_BYTES + out->name_bytes + extra_bytes + comment_bytes;
    return QVK_OK;
}

/* Where the data of an entry starts; checks that all of it is in the file. */
static qvk_status locate(const qvk__zip *zip, const claim *c, const char *name, uint64_t *out, qvk_error *err)
{
    const uint8_t *local;
    uint64_t start;

    QVK__CHECK(has_record(zip, c->offset, LOCAL_BYTES, local_signature), err, QVK_BAD_FORMAT,
               "%s: entry %s: its local header is not where the directory says", zip->source, name);
    local = zip->data + c->offset;
    QVK__CHECK(field(local + 26, 2) == c->name_bytes && field(local + 8, 2) == (uint64_t)c->method, err,
               QVK_BAD_FORMAT, "%s: entry %s: its local header does not agree with the directory",
               zip->source, name);
    start = c->offset + LOCAL_BYTES + c->name_bytes + field(local + 28, 2);
    QVK__CHECK(start <= zip->bytes && c->packed <= zip->bytes - start, err, QVK_BAD_FORMAT,
               "%s: entry %s: its %llu bytes do not fit into the file (cut short?)", zip->source, name,
               (unsigned long long)c->packed);
    QVK__CHECK(memcmp(local + LOCAL_BYTES, c->name, (size_t)c->name_bytes) == 0, err, QVK_BAD_FORMAT,
               "%s: entry %s: its local header does not agree with the directory", zip->source, name);
    *out = start;
    return QVK_OK;
}

static qvk_status check_claim(const qvk__zip *zip, const claim *c, const char *name, qvk_error *err)
{
    QVK__CHECK(strlen(name) == c->name_bytes && c->name_bytes > 0, err, QVK_BAD_FORMAT,
               "%s: entry %zu has no proper name", zip->source, zip->entries.count);
    QVK__CHECK(!(c->flags & FLAG_ENCRYPTED), err, QVK_UNSUPPORTED, "%s: entry %s is encrypted", zip->source,
               name);
    QVK__CHECK(c->method == METHOD_STORED || c->method == METHOD_DEFLATED, err, QVK_UNSUPPORTED,
               "%s: entry %s: compression method %d", zip->source, name, c->method);
    QVK__CHECK(c->method != METHOD_STORED || c->packed == c->unpacked, err, QVK_BAD_FORMAT,
               "%s: entry %s is stored, but its two sizes differ", zip->source, name);
    QVK__CHECK(c->unpacked / MAX_DEFLATE_RATIO <= c->packed, err, QVK_BAD_FORMAT,
               "%s: entry %s cannot unpack to %llu bytes", zip->source, name,
               (unsigned long long)c->unpacked);
    return QVK_OK;
}

static qvk_status add_entry(qvk__zip *zip, const claim *c, qvk_error *err)
{
    qvk__zip_entry entry = {.bytes = c->unpacked, .packed_bytes = c->packed, .crc = c->crc};
    uint64_t start = 0;
    int64_t other;

    QVK__CHECK(c->name_bytes < MAX_NAME_BYTES, err, QVK_BAD_FORMAT, "%s: entry %zu has a name too long",
               zip->source, zip->entries.count);
    entry.name = qvk__arena_strndup(zip->arena, (const char *)c->name, (size_t)c->name_bytes);
    QVK__CHECK(entry.name, err, QVK_OUT_OF_MEMORY, "out of memory");
    QVK__TRY(check_claim(zip, c, entry.name, err));
    QVK__TRY(locate(zip, c, entry.name, &start, err));
    if (c->method == METHOD_STORED)
        entry.data = zip->data + start;
    else
        entry.packed = zip->data + start;
    QVK__CHECK(!qvk__map_get(&zip->index, entry.name, &other), err, QVK_BAD_FORMAT,
               "%s: entry %s is there twice", zip->source, entry.name);
    QVK__CHECK(qvk__map_set(&zip->index, entry.name, (int64_t)zip->entries.count) &&
                   QVK__VEC_PUSH(&zip->entries, entry),
               err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

static qvk_status read_directory(qvk__zip *zip, qvk_error *err)
{
    directory found = {0};
    const char *slash;
    uint64_t at;

    QVK__TRY(find_directory(zip, &found, err));
    at = found.offset;
    for (uint64_t i = 0; i < found.count; i++) {
        claim c = {0};
        QVK__TRY(read_claim(zip, &at, found.offset + found.bytes, &c, err));
        QVK__TRY(add_entry(zip, &c, err));
    }
    slash = strchr(zip->entries.data[0].name, '/');
    zip->root = qvk__arena_strndup(zip->arena, zip->entries.data[0].name,
                                   slash ? (size_t)(slash - zip->entries.data[0].name) + 1 : 0);
    QVK__CHECK(zip->root, err, QVK_OUT_OF_MEMORY, "out of memory");
    return QVK_OK;
}

qvk_status qvk__zip_open(const uint8_t *data, uint64_t bytes, const char *source, qvk__arena *arena,
                         qvk__zip *out, qvk_error *err)
{
    qvk__zip zip = {.data = data, .bytes = bytes, .source = source, .arena = arena};
    qvk_status status = read_directory(&zip, err);

    if (status == QVK_OK)
        *out = zip;
    else
        qvk__zip_close(&zip);
    return status;
}

void qvk__zip_close(qvk__zip *zip)
{
    free(zip->entries.data);
    qvk__map_free(&zip->index);
    memset(zip, 0, sizeof *zip);
}

/* ---- contents ------------------------------------------------------------------------------------------ */

qvk__zip_entry *qvk__zip_find(const qvk__zip *zip, const char *name)
{
    char full[MAX_NAME_BYTES];
    size_t root = strlen(zip->root), length = strlen(name);
    int64_t index;

    if (root + length >= sizeof full)
        return NULL;
    memcpy(full, zip->root, root);
    memcpy(full + root, name, length + 1);
    return qvk__map_get(&zip->index, full, &index) ? &zip->entries.data[index] : NULL;
}

/* All of `out`, and not a byte more. zlib counts in 32 bits, so long entries go in pieces. */
static bool inflate_all(z_stream *stream, const qvk__zip_entry *entry, uint8_t *out)
{
    uint64_t in_left = entry->packed_bytes, out_left = entry->bytes;
    int code = Z_OK;

    stream->next_in = entry->packed;
    stream->next_out = out;
    while (code == Z_OK) {
        if (stream->avail_in == 0) {
            stream->avail_in = (uInt)QVK__MIN(in_left, (uint64_t)1 << 30);
            in_left -= stream->avail_in;
        }
        if (stream->avail_out == 0) {
            stream->avail_out = (uInt)QVK__MIN(out_left, (uint64_t)1 << 30);
            out_left -= stream->avail_out;
        }
        code = inflate(stream, Z_NO_FLUSH);
    }
    return code == Z_STREAM_END && out_left == 0 && stream->avail_out == 0;
}

static qvk_status inflate_entry(qvk__zip *zip, qvk__zip_entry *entry, qvk_error *err)
{
    z_stream stream = {0};
    uint8_t *data;
    bool whole;

    QVK__CHECK(entry->bytes <= max_inflated - zip->inflated, err, QVK_UNSUPPORTED,
               "%s: the compressed entries are too large; store them uncompressed, as torch.export.save does",
               zip->source);
    data = qvk__arena_alloc(zip->arena, QVK__MAX(entry->bytes, 1), 1);
    QVK__CHECK(data && inflateInit2(&stream, -MAX_WBITS) == Z_OK, err, QVK_OUT_OF_MEMORY, "%s: out of memory",
               zip->source);
    whole = inflate_all(&stream, entry, data);
    inflateEnd(&stream);
    QVK__CHECK(whole, err, QVK_BAD_FORMAT, "%s: entry %s cannot be unpacked", zip->source, entry->name);
    QVK__CHECK(qvk__zip_crc(0, data, entry->bytes) == entry->crc, err, QVK_BAD_FORMAT,
               "%s: entry %s: wrong checksum", zip->source, entry->name);
    entry->data = data;
    zip->inflated += entry->bytes;
    return QVK_OK;
}

qvk_status qvk__zip_get(qvk__zip *zip, const char *name, const uint8_t **data, uint64_t *bytes,
                        qvk_error *err)
{
    qvk__zip_entry *entry = qvk__zip_find(zip, name);

    QVK__CHECK(entry, err, QVK_BAD_FORMAT, "%s: the archive has no entry %s%s", zip->source, zip->root, name);
    if (!entry->data)
        QVK__TRY(inflate_entry(zip, entry, err));
    *data = entry->data;
    *bytes = entry->bytes;
    return QVK_OK;
}
